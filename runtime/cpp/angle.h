#include <numbers>

// torch.angle: the argument of complex numbers; 0 or pi for real ones.
inline mx::array angle(const mx::array& x) {
  if (x.dtype() == mx::complex64) {
    return mx::arctan2(mx::imag(x), mx::real(x));
  }
  auto pi = mx::array(std::numbers::pi_v<float>);
  auto zero = mx::array(0, x.dtype());
  auto argument = mx::where(x < zero, pi, mx::array(0.0f));
  return mx::astype(mx::where(mx::isnan(x), x, argument), x.dtype());
}
