#include <cmath>
#include <numbers>

#include "Scalar.h"

// log(gamma(x)) in float32 by Stirling's series for large x, below 8 by
// gamma(x) = gamma(x + 6) / (x * (x + 1) * ... * (x + 5)).
inline mx::array stirling(const mx::array& x) {
  auto low = x < Scalar(8);
  auto product = x;
  for (int i = 1; i < 6; ++i) {
    product = product * (x + Scalar(i));
  }
  auto y = mx::where(low, x + Scalar(6), x);
  auto tail = (Scalar(1.0 / 12) - Scalar(1) / (Scalar(360) * y * y)) / y;
  auto half_log = Scalar(0.5 * std::log(2 * std::numbers::pi));
  auto out = (y - Scalar(0.5)) * (mx::log(y) - Scalar(1)) - Scalar(0.5) +
      half_log + tail;
  return out - mx::where(low, mx::log(product), mx::array(0.0f));
}
