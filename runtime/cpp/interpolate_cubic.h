#include <vector>

#include "Scales.h"
#include "cubic_weights.h"
#include "resize_positions.h"
#include "weighted_rows.h"

// torch's interpolate, "bicubic", of x [N, H, W, C] to a size.
// scale: the scale_factor where torch was given one; it decides what is read.
inline mx::array interpolate_cubic(
    const mx::array& x,
    const mx::Shape& size,
    bool align_corners = false,
    const Scales& scale = std::nullopt) {
  auto out = mx::astype(x, mx::float32);
  int axis = -static_cast<int>(size.size()) - 1;
  for (int out_size : size) {
    int n = x.shape(axis);
    auto factor = scale.of(axis);
    auto at = nn::resize_positions(n, out_size, align_corners, factor);
    auto low = mx::floor(at);
    auto first = mx::astype(low, mx::int32);
    std::vector<mx::array> index;
    for (int k = -1; k <= 2; ++k) {
      index.push_back(mx::clip(first + k, mx::array(0), mx::array(n - 1)));
    }
    out = nn::weighted_rows(out, axis, index, nn::cubic_weights(at - low));
    ++axis;
  }
  return mx::astype(out, x.dtype());
}
