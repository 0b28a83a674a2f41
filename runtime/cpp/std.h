#include "Axes.h"
#include "var.h"

// torch.std, in float32, over one axis, several, or all of them.
inline mx::array std(
    const mx::array& x,
    const Axes& axis = std::nullopt,
    float correction = 1,
    bool keepdims = false) {
  auto y = mx::astype(x, mx::float32);
  auto result = mx::sqrt(nn::var(y, axis, correction, keepdims));
  return mx::astype(result, x.dtype());
}
