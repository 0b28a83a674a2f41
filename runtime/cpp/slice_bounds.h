#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

// Start and stop of Python's [start:stop:step] on an axis of `size` elements,
// clamped as there; backwards, a stop before the first element is -1.
inline std::pair<int, int> slice_bounds(
    int size,
    std::optional<int> start,
    std::optional<int> stop,
    int step) {
  if (step == 0) {
    throw std::invalid_argument("slice: the step must not be 0");
  }
  int low = step > 0 ? 0 : -1;
  int high = step > 0 ? size : size - 1;
  auto place = [&](std::optional<int> at, int open) {
    if (!at) {
      return open;
    }
    return std::clamp(*at < 0 ? *at + size : *at, low, std::max(low, high));
  };
  bool forward = step > 0;
  return {
      place(start, forward ? low : high), place(stop, forward ? high : low)};
}
