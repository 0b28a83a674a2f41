#include "Scalar.h"
#include "fuse.h"

// x * sigmoid(1.702 x).
inline mx::array gelu_fast_approx(const mx::array& x) {
  auto approximate = [](const auto& x) {
    return x * mx::sigmoid(Scalar(1.702) * x);
  };
  return nn::fuse(approximate, x);
}
