#include <optional>

#include "slice_bounds.h"

// x[start:stop:step] along one axis by Python's rules: std::nullopt is an open
// end, negative numbers count from the end, bounds outside are clamped.
inline mx::array slice(
    const mx::array& x,
    int axis,
    std::optional<int> start,
    std::optional<int> stop,
    int step = 1) {
  int size = x.shape(axis);
  auto [first, last] = nn::slice_bounds(size, start, stop, step);
  int at = axis < 0 ? axis + static_cast<int>(x.ndim()) : axis;
  mx::Shape begin(x.ndim(), 0);
  mx::Shape end = x.shape();
  mx::Shape strides(x.ndim(), 1);
  // mx::slice counts negative bounds from the end: -(size + 1) is "before 0".
  begin[at] = first < 0 ? -(size + 1) : first;
  end[at] = last < 0 ? -(size + 1) : last;
  strides[at] = step;
  return mx::slice(x, begin, end, strides);
}
