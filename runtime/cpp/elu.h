#include "Scalar.h"

// torch's elu by expm1, exact near 0.
inline mx::array elu(
    const mx::array& x,
    float alpha = 1.0f,
    float scale = 1.0f,
    float input_scale = 1.0f) {
  auto below =
      Scalar(double(scale) * alpha) * mx::expm1(x * Scalar(input_scale));
  return mx::where(x > Scalar(0), Scalar(scale) * x, below);
}
