#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "window_count.h"

// For each place in a pooling window, what all windows along an axis hold.
// The input is padded with the 0-d array `fill`.
inline std::vector<mx::array> window_slices(
    const mx::array& x,
    int axis,
    int kernel,
    int stride,
    int padding,
    int dilation,
    bool ceil_mode,
    const mx::array& fill) {
  axis = axis < 0 ? axis + static_cast<int>(x.ndim()) : axis;
  int size = x.shape(axis);
  int count = window_count(size, kernel, stride, padding, dilation, ceil_mode);
  if (count < 1) {
    throw std::invalid_argument(
        "pooling window of " + std::to_string(kernel) +
        " does not fit into axis " + std::to_string(axis) + " of size " +
        std::to_string(size));
  }
  int stop = (count - 1) * stride + 1;
  int high = std::max(0, stop + dilation * (kernel - 1) - padding - size);
  auto padded = padding == 0 && high == 0
      ? x
      : mx::pad(x, {axis}, {padding}, {high}, mx::astype(fill, x.dtype()));

  mx::Shape starts(x.ndim(), 0);
  mx::Shape steps(x.ndim(), 1);
  mx::Shape stops = padded.shape();
  steps[axis] = stride;
  std::vector<mx::array> slices;
  for (int place = 0; place < kernel; ++place) {
    starts[axis] = place * dilation;
    stops[axis] = starts[axis] + stop;
    slices.push_back(mx::slice(padded, starts, stops, steps));
  }
  return slices;
}
