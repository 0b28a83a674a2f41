#include <cstdint>
#include <limits>
#include <stdexcept>
#include <utility>

// The smallest and the largest value of a dtype, infinite for floats.
inline std::pair<mx::array, mx::array> type_limits(mx::Dtype dtype) {
  auto both = [&]<typename T>(T low, T high) {
    return std::pair(mx::array(low, dtype), mx::array(high, dtype));
  };
  auto range = [&]<typename T>(T) {
    return both(std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
  };
  if (mx::issubdtype(dtype, mx::floating)) {
    float infinity = std::numeric_limits<float>::infinity();
    return both(-infinity, infinity);
  }
  switch (dtype) {
    case mx::bool_:
      return both(false, true);
    case mx::uint8:
      return range(uint8_t());
    case mx::uint16:
      return range(uint16_t());
    case mx::uint32:
      return range(uint32_t());
    case mx::uint64:
      return range(uint64_t());
    case mx::int8:
      return range(int8_t());
    case mx::int16:
      return range(int16_t());
    case mx::int32:
      return range(int32_t());
    case mx::int64:
      return range(int64_t());
    default:
      throw std::invalid_argument("no smallest and largest complex number");
  }
}
