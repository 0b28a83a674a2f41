#include <algorithm>
#include <optional>
#include <vector>

#include "Scalar.h"
#include "window_slices.h"

// torch's avg_pool1d/2d/3d over x [N, *spatial, C], in float32.
inline mx::array avg_pool(
    const mx::array& x,
    const std::vector<int>& kernel,
    const std::vector<int>& stride,
    const std::vector<int>& padding,
    bool ceil_mode = false,
    bool count_include_pad = true,
    std::optional<int> divisor_override = std::nullopt) {
  int rank = kernel.size();
  auto zero = mx::array(0.0f);
  auto out = mx::astype(x, mx::float32);
  for (int i = 0; i < rank; ++i) {
    int axis = i - rank - 1;
    int size = x.shape(axis);
    int pad = count_include_pad ? padding[i] : 0;
    auto slices = window_slices(
        out, axis, kernel[i], stride[i], padding[i], 1, ceil_mode, zero);
    out = slices[0];
    for (size_t place = 1; place < slices.size(); ++place) {
      out = out + slices[place];
    }
    if (!divisor_override) {
      std::vector<float> counts;
      for (int k = 0; k < out.shape(axis); ++k) {
        int start = k * stride[i] - padding[i];
        int stop = std::min(start + kernel[i], size + pad);
        counts.push_back(stop - std::max(start, -pad));
      }
      mx::Shape shape(-axis, 1);
      shape[0] = counts.size();
      out = out / mx::array(counts.begin(), shape);
    }
  }
  if (divisor_override) {
    out = out / Scalar(*divisor_override);
  }
  return mx::astype(out, x.dtype());
}
