#include "Scalar.h"

// Keys' cubic convolution with a = -0.5, unlike the -0.75 of plain bicubic.
inline mx::array cubic_kernel(const mx::array& distance) {
  auto d = mx::abs(distance);
  auto near = (Scalar(1.5) * d - Scalar(2.5)) * d * d + Scalar(1);
  auto far = ((Scalar(-0.5) * d + Scalar(2.5)) * d - Scalar(4)) * d + Scalar(2);
  auto outer = mx::where(d < Scalar(2), far, mx::array(0.0f));
  return mx::where(d < Scalar(1), near, outer);
}
