#include "view_as_complex.h"

// torch.polar: complex numbers from their absolute value and argument.
inline mx::array polar(const mx::array& radius, const mx::array& angle) {
  auto real = radius * mx::cos(angle);
  auto imaginary = radius * mx::sin(angle);
  return nn::view_as_complex(mx::stack({real, imaginary}, -1));
}
