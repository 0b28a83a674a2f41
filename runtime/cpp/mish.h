#include "softplus.h"

// torch's mish.
inline mx::array mish(const mx::array& x) {
  return x * mx::tanh(nn::softplus(x));
}
