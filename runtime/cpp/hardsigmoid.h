#include "Scalar.h"

// torch's hardsigmoid.
inline mx::array hardsigmoid(const mx::array& x) {
  auto y = x + Scalar(3);
  return mx::clip(y, Scalar(0).like(y), Scalar(6).like(y)) / Scalar(6);
}
