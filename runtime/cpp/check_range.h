#include <cstdint>
#include <stdexcept>
#include <string>

// Throws std::invalid_argument unless low <= x < high for all elements of an
// array of integers. It evaluates x: for indices that come from outside, since
// MLX reads and writes where an index points.
inline void check_range(
    const std::string& name,
    const mx::array& x,
    int64_t low,
    int64_t high) {
  if (x.size() == 0) {
    return;
  }
  auto smallest = mx::astype(mx::min(x), mx::int64);
  auto largest = mx::astype(mx::max(x), mx::int64);
  mx::eval(smallest, largest);
  for (int64_t value : {smallest.item<int64_t>(), largest.item<int64_t>()}) {
    if (value < low || value >= high) {
      throw std::invalid_argument(
          name + " holds " + std::to_string(value) + ", it must hold " +
          std::to_string(low) + " to " + std::to_string(high - 1));
    }
  }
}
