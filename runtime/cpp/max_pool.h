#include <limits>
#include <optional>
#include <vector>

#include "Dilation.h"
#include "window_slices.h"

// torch's max_pool1d/2d/3d over x [N, *spatial, C].
inline mx::array max_pool(
    const mx::array& x,
    const std::vector<int>& kernel,
    const std::vector<int>& stride,
    const std::vector<int>& padding,
    const Dilation& dilation = std::nullopt,
    bool ceil_mode = false) {
  int rank = kernel.size();
  auto lowest = mx::issubdtype(x.dtype(), mx::floating)
      ? mx::array(-std::numeric_limits<float>::infinity())
      : mx::array(mx::iinfo(x.dtype()).min);
  auto out = x;
  for (int i = 0; i < rank; ++i) {
    auto slices = window_slices(
        out,
        i - rank - 1,
        kernel[i],
        stride[i],
        padding[i],
        dilation[i],
        ceil_mode,
        lowest);
    out = slices[0];
    for (size_t place = 1; place < slices.size(); ++place) {
      out = mx::maximum(out, slices[place]);
    }
  }
  return out;
}
