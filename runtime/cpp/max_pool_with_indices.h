#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "Dilation.h"
#include "argmax_windows.h"
#include "window_count.h"

// What the pooling windows along an axis hold: [kernel, count]. An element in
// the padding is replaced by the nearest of its window in the input.
inline mx::array window_elements(
    int size,
    int kernel,
    int stride,
    int padding,
    int dilation,
    bool ceil_mode) {
  int count = window_count(size, kernel, stride, padding, dilation, ceil_mode);
  if (count < 1) {
    throw std::invalid_argument(
        "pooling window of " + std::to_string(kernel) +
        " does not fit into an axis of size " + std::to_string(size));
  }
  std::vector<int> elements;
  for (int place = 0; place < kernel; ++place) {
    for (int i = 0; i < count; ++i) {
      int start = i * stride - padding;
      int high = std::min(kernel - 1, (size - 1 - start) / dilation);
      int low = start < 0 ? (-start + dilation - 1) / dilation : 0;
      low = std::min(low, high);
      elements.push_back(start + dilation * std::clamp(place, low, high));
    }
  }
  return mx::array(elements.begin(), {kernel, count});
}

// torch's max_pool with return_indices over x [N, *spatial, C]. The int64
// indices point into the flattened spatial axes.
inline std::tuple<mx::array, mx::array> max_pool_with_indices(
    const mx::array& x,
    const std::vector<int>& kernel,
    const std::vector<int>& stride,
    const std::vector<int>& padding,
    const Dilation& dilation = std::nullopt,
    bool ceil_mode = false) {
  int rank = kernel.size();
  std::vector<mx::array> windows;
  for (int i = 0; i < rank; ++i) {
    windows.push_back(window_elements(
        x.shape(i - rank - 1),
        kernel[i],
        stride[i],
        padding[i],
        dilation[i],
        ceil_mode));
  }
  return argmax_windows(x, windows);
}
