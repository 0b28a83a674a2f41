#include "Scalar.h"

// torch's softplus: linear above the threshold, which at beta 1 makes no
// difference.
inline mx::array softplus(const mx::array& x) {
  return mx::logaddexp(x, Scalar(0).like(x));
}

inline mx::array
softplus(const mx::array& x, float beta, float threshold = 20.0f) {
  auto y = x * Scalar(beta);
  auto curve = mx::logaddexp(y, Scalar(0).like(y)) / Scalar(beta);
  return mx::where(y > Scalar(threshold), x, curve);
}
