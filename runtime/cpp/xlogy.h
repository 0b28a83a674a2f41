#include "Scalar.h"

// torch.xlogy: x * log(y), and 0 where x is 0 unless y is NaN.
inline mx::array xlogy(const mx::array& x, const mx::array& y) {
  auto out = x * mx::log(y);
  auto zero = (x == Scalar(0)) & mx::logical_not(mx::isnan(y));
  return mx::where(zero, Scalar(0).like(out), out);
}
