#include "elu.h"

// torch's celu by expm1, exact near 0.
inline mx::array celu(const mx::array& x, float alpha = 1.0f) {
  return nn::elu(x, alpha, /* scale = */ 1.0f, /* input_scale = */ 1 / alpha);
}
