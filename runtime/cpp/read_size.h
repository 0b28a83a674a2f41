#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

// The number in an array as a size: waits for the device.
inline int read_size(const mx::array& x) {
  int64_t size = mx::astype(x, mx::int64).item<int64_t>();
  if (size < 0 || size > std::numeric_limits<int>::max()) {
    throw std::invalid_argument(
        "a size that the data gives is " + std::to_string(size));
  }
  return static_cast<int>(size);
}
