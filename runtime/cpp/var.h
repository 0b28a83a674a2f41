#include <algorithm>

#include "Axes.h"
#include "Scalar.h"

// torch.var, in float32, over one axis, several, or all of them.
inline mx::array var(
    const mx::array& x,
    const Axes& axis = std::nullopt,
    float correction = 1,
    bool keepdims = false) {
  auto axes = axis.of(x);
  auto y = mx::astype(x, mx::float32);
  auto squares = mx::square(y - mx::mean(y, axes, /* keepdims = */ true));
  auto total = mx::sum(squares, axes, keepdims);
  float count = x.size() / std::max<size_t>(total.size(), 1);
  auto result = total / Scalar(std::max(count - correction, 0.0f));
  return mx::astype(result, x.dtype());
}
