#include "Scalar.h"

// torch.div with rounding_mode "trunc"; integers stay integers.
inline mx::array trunc_divide(const mx::array& a, const mx::array& b) {
  if (mx::issubdtype(a.dtype(), mx::inexact)) {
    return mx::trunc(a / b);
  }
  auto inexact = mx::remainder(a, b) != Scalar(0);
  auto opposite = (a < Scalar(0)) != (b < Scalar(0));
  return mx::floor_divide(a, b) + (inexact & opposite);
}

inline mx::array trunc_divide(const mx::array& a, Scalar b) {
  return nn::trunc_divide(a, b.like(a));
}
