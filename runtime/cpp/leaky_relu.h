#include "Scalar.h"

// torch's leaky_relu, for slopes up to 1.
inline mx::array leaky_relu(const mx::array& x, float negative_slope = 0.01f) {
  return mx::maximum(Scalar(negative_slope) * x, x);
}
