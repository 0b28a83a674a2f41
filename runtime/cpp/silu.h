#include "fuse.h"

// torch's silu.
inline mx::array silu(const mx::array& x) {
  return nn::fuse([](const auto& x) { return x * mx::sigmoid(x); }, x);
}
