#include <cmath>

#include "Axes.h"
#include "Scalar.h"

// torch.linalg.vector_norm over one axis, several, or all of them, in float32.
inline mx::array vector_norm(
    const mx::array& x,
    float ord = 2,
    const Axes& axis = std::nullopt,
    bool keepdims = false) {
  auto axes = axis.of(x);
  auto size = mx::astype(mx::abs(x), mx::float32);
  auto reduce = [&]() {
    if (ord == 0) {
      return mx::sum(size != Scalar(0), axes, keepdims);
    }
    if (std::isinf(ord)) {
      return ord > 0 ? mx::max(size, axes, keepdims)
                     : mx::min(size, axes, keepdims);
    }
    if (ord == 1) {
      return mx::sum(size, axes, keepdims);
    }
    if (ord == 2) {
      return mx::sqrt(mx::sum(size * size, axes, keepdims));
    }
    auto powers = mx::power(size, Scalar(ord).like(size));
    auto total = mx::sum(powers, axes, keepdims);
    return mx::power(total, Scalar(1 / ord).like(total));
  };
  return mx::astype(
      reduce(), x.dtype() == mx::complex64 ? mx::float32 : x.dtype());
}
