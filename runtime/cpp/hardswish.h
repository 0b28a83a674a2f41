#include "Scalar.h"
#include "fuse.h"

// torch's hardswish.
inline mx::array hardswish(const mx::array& x) {
  auto gate = [](const auto& x) {
    auto y = x + Scalar(3);
    y = mx::maximum(y, Scalar(0).like(y));
    return x * mx::minimum(y, Scalar(6).like(y)) / Scalar(6);
  };
  return nn::fuse(gate, x);
}
