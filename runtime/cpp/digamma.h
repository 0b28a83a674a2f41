#include <limits>
#include <numbers>

#include "Scalar.h"

// torch.digamma in float32: an asymptotic series, and reflection below 0.
inline mx::array digamma(const mx::array& x) {
  constexpr double pi = std::numbers::pi;
  auto y = mx::astype(x, mx::float32);
  auto negative = y < Scalar(0);
  auto reflected = mx::where(negative, Scalar(1) - y, y);
  auto z = reflected + Scalar(6);
  auto r = Scalar(1) / (z * z);
  auto series = Scalar(1.0 / 120) - r / Scalar(252);
  auto out = mx::log(z) - Scalar(0.5) / z - r * (Scalar(1.0 / 12) - r * series);
  auto steps = Scalar(1) / reflected;
  for (int i = 1; i < 6; ++i) {
    steps = steps + Scalar(1) / (reflected + Scalar(i));
  }
  out = out - steps;
  auto fraction = y - mx::round(y);
  auto mirrored = out - Scalar(pi) / mx::tan(Scalar(pi) * fraction);
  auto nan = mx::array(std::numeric_limits<float>::quiet_NaN());
  auto below = mx::where(fraction == Scalar(0), nan, mirrored);
  return mx::astype(mx::where(negative, below, out), x.dtype());
}
