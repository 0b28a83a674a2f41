#include <limits>

#include "Scalar.h"

// torch.hypot: sqrt(a**2 + b**2) without overflow on the way.
inline mx::array hypot(const mx::array& a, const mx::array& b) {
  auto first = mx::abs(a);
  auto second = mx::abs(b);
  auto large = mx::maximum(first, second);
  auto ratio = mx::minimum(first, second) / large;
  ratio = mx::where(large == Scalar(0), mx::array(0, ratio.dtype()), ratio);
  auto out = large * mx::sqrt(Scalar(1) + ratio * ratio);
  auto infinity = Scalar(std::numeric_limits<float>::infinity());
  return mx::where(
      mx::isinf(first) | mx::isinf(second), infinity.like(out), out);
}
