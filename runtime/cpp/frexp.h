#include <cmath>
#include <tuple>

#include "Scalar.h"

// torch.frexp: mantissas of magnitude [0.5, 1) and int32 exponents of x.
inline std::tuple<mx::array, mx::array> frexp(const mx::array& x) {
  auto y = mx::astype(x, mx::float32);
  auto subnormal = mx::abs(y) < Scalar(std::ldexp(1.0f, -126));
  auto scaled = y * Scalar(std::ldexp(1.0f, 24));
  auto bits = mx::view(mx::where(subnormal, scaled, y), mx::int32);
  auto bias = mx::where(subnormal, mx::array(126 + 24), mx::array(126));
  auto exponent = ((bits >> Scalar(23)) & Scalar(0xFF)) - bias;
  auto half = (bits & Scalar(~(0xFF << 23))) | Scalar(126 << 23);
  auto regular = (y != Scalar(0)) & mx::isfinite(y);
  auto mantissa = mx::where(regular, mx::view(half, mx::float32), y);
  return {
      mx::astype(mantissa, x.dtype()),
      mx::where(regular, exponent, mx::array(0))};
}
