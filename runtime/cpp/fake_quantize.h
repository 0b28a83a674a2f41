#include "Scalar.h"

// The nearest of the steps (low - zero) * scale ... (high - zero) * scale. What
// is left of x when it is quantized and comes back.
inline mx::array fake_quantize(
    const mx::array& x,
    float scale,
    float zero = 0.0f,
    float low = 0.0f,
    float high = 255.0f) {
  auto steps = mx::round(x / Scalar(scale)) + Scalar(zero);
  steps = mx::clip(steps, Scalar(low).like(x), Scalar(high).like(x));
  return (steps - Scalar(zero)) * Scalar(scale);
}
