#include "fuse.h"
#include "softplus.h"

// torch's mish.
inline mx::array mish(const mx::array& x) {
  return nn::fuse(
      [](const auto& x) { return x * mx::tanh(nn::softplus(x)); }, x);
}
