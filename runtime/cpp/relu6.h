#include "Scalar.h"

// torch's relu6.
inline mx::array relu6(const mx::array& x) {
  auto y = mx::maximum(x, Scalar(0).like(x));
  return mx::minimum(y, Scalar(6.0f).like(y));
}
