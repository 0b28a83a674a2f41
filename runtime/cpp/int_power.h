#include "Scalar.h"

// torch.pow of integers: a negative exponent gives 0, or +-1 for a base of +-1.
inline mx::array int_power(const mx::array& base, const mx::array& exponent) {
  auto power = mx::power(base, mx::abs(exponent));
  auto vanishes = (exponent < Scalar(0)) & (mx::abs(base) != Scalar(1));
  return mx::where(vanishes, Scalar(0).like(power), power);
}
