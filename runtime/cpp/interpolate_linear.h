#include "Scalar.h"
#include "Scales.h"
#include "resize_positions.h"
#include "weighted_rows.h"

// torch's interpolate, "linear" to "trilinear", of x [N, *spatial, C] to a
// size. scale: the scale_factor where torch was given one; it decides where x
// is read.
inline mx::array interpolate_linear(
    const mx::array& x,
    const mx::Shape& size,
    bool align_corners = false,
    const Scales& scale = std::nullopt) {
  auto out = mx::astype(x, mx::float32);
  int axis = -static_cast<int>(size.size()) - 1;
  for (int out_size : size) {
    int n = x.shape(axis);
    if (n != out_size) {
      auto factor = scale.of(axis);
      auto at = mx::maximum(
          nn::resize_positions(n, out_size, align_corners, factor),
          mx::array(0.0f));
      auto last = mx::array(n - 1);
      auto low = mx::minimum(mx::astype(at, mx::int32), last);
      auto t = mx::clip(at - low, mx::array(0.0f), mx::array(1.0f));
      out = nn::weighted_rows(
          out, axis, {low, mx::minimum(low + 1, last)}, {Scalar(1) - t, t});
    }
    ++axis;
  }
  return mx::astype(out, x.dtype());
}
