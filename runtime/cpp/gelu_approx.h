#include "Scalar.h"
#include "fuse.h"

// torch's gelu with the tanh approximation; the constant is sqrt(2 / pi).
inline mx::array gelu_approx(const mx::array& x) {
  auto approximate = [](const auto& x) {
    auto cube = mx::power(x, Scalar(3).like(x));
    auto y = Scalar(0.7978845608028654) * (x + Scalar(0.044715) * cube);
    return Scalar(0.5f) * x * (Scalar(1) + mx::tanh(y));
  };
  return nn::fuse(approximate, x);
}
