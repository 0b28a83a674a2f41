#include <cmath>

#include "Scalar.h"

// torch's gelu.
inline mx::array gelu(const mx::array& x) {
  auto erf = mx::erf(x / Scalar(std::sqrt(2.0)));
  return x * (Scalar(1) + erf) / Scalar(2);
}
