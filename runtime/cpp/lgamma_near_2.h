#include "Scalar.h"

// log(gamma(x)) in float32 for x from 0.5 to 2.5: log(gamma(2 + z)) by its
// series, and up to 1.5 by gamma(x) = gamma(x + 1) / x.
inline mx::array lgamma_near_2(const mx::array& x) {
  auto low = x < Scalar(1.5);
  auto z = mx::where(low, x - Scalar(1), x - Scalar(2));
  auto series = mx::zeros_like(z);
  // (-1)**k * (zeta(k) - 1) / k for k from 12 to 2, then 1 - Euler's constant.
  for (float c :
       {2.05072128e-05f,
        -4.49262367e-05f,
        9.94575128e-05f,
        -0.000223154758f,
        0.000509669525f,
        -0.00119275391f,
        0.00289051033f,
        -0.00738555103f,
        0.0205808084f,
        -0.0673523011f,
        0.322467033f,
        0.422784335f}) {
    series = (series + Scalar(c)) * z;
  }
  return series - mx::where(low, mx::log(x), mx::array(0.0f));
}
