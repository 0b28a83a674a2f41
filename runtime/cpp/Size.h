#include <algorithm>
#include <array>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

// A kernel size, stride or padding along N spatial axes: one number for all of
// them, or a list of N.
template <int N>
class Size {
 public:
  Size(int value) {
    values_.fill(value);
  }

  Size(std::initializer_list<int> values) : Size(std::vector<int>(values)) {}

  Size(const std::vector<int>& values) {
    if (values.size() != N) {
      throw std::invalid_argument(
          "expected " + std::to_string(N) + " sizes, got " +
          std::to_string(values.size()));
    }
    std::copy(values.begin(), values.end(), values_.begin());
  }

  int operator[](int axis) const {
    return values_[axis];
  }

  operator std::vector<int>() const {
    return {values_.begin(), values_.end()};
  }

  // As mx:: takes it: std::pair for two axes, std::tuple for three.
  auto packed() const {
    if constexpr (N == 2) {
      return std::pair(values_[0], values_[1]);
    } else {
      return std::tuple(values_[0], values_[1], values_[2]);
    }
  }

 private:
  std::array<int, N> values_;
};
