#include "Scalar.h"
#include "Scales.h"

// torch's interpolate, "nearest" or "nearest-exact", of x [N, *spatial, C].
// scale: the scale_factor where torch was given one; it decides what is read.
inline mx::array interpolate_nearest(
    const mx::array& x,
    const mx::Shape& size,
    const Scales& scale = std::nullopt,
    bool exact = false) {
  auto out = x;
  int axis = -static_cast<int>(size.size()) - 1;
  for (int out_size : size) {
    int n = x.shape(axis);
    auto factor = scale.of(axis);
    double ratio = factor ? 1 / *factor : n / double(out_size);
    auto i = mx::arange(out_size) + Scalar(exact ? 0.5 : 0.0);
    i = mx::astype(mx::floor(i * Scalar(ratio)), mx::int32);
    out = mx::take(out, mx::minimum(i, mx::array(n - 1)), axis);
    ++axis;
  }
  return out;
}
