#include "Scalar.h"

// torch's prelu over x [..., C], with one slope or C of them.
inline mx::array prelu(const mx::array& x, const mx::array& alpha) {
  auto zero = Scalar(0).like(x);
  return mx::maximum(zero, x) + alpha * mx::minimum(zero, x);
}
