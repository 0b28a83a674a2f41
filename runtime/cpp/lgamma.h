#include <cmath>
#include <limits>
#include <numbers>

#include "Scalar.h"
#include "lgamma_near_2.h"
#include "stirling.h"

// torch.lgamma in float32: a series at 2, Stirling's above, reflection below.
inline mx::array lgamma(const mx::array& x) {
  constexpr double pi = std::numbers::pi;
  auto y = mx::astype(x, mx::float32);
  auto below = y < Scalar(0.5);
  auto reflected = mx::where(below, Scalar(1) - y, y);
  auto out = mx::where(
      reflected < Scalar(2.5),
      nn::lgamma_near_2(reflected),
      nn::stirling(reflected));
  auto sine = mx::abs(mx::sin(Scalar(pi) * (y - mx::round(y))));
  out = mx::where(below, Scalar(std::log(pi)) - mx::log(sine) - out, out);
  auto infinity = mx::array(std::numeric_limits<float>::infinity());
  return mx::astype(mx::where(mx::isinf(y), infinity, out), x.dtype());
}
