#include <numeric>
#include <optional>
#include <vector>

#include "Scalar.h"

// torch's instance_norm over x [N, *spatial, C] with use_input_stats, in
// float32.
inline mx::array instance_norm(
    const mx::array& x,
    const std::optional<mx::array>& weight = std::nullopt,
    const std::optional<mx::array>& bias = std::nullopt,
    float eps = 1e-5f) {
  std::vector<int> axes(x.ndim() - 2);
  std::iota(axes.begin(), axes.end(), 1);
  auto y = mx::astype(x, mx::float32);
  auto mean = mx::mean(y, axes, /* keepdims = */ true);
  auto var = mx::var(y, axes, /* keepdims = */ true);
  y = (y - mean) * mx::rsqrt(var + Scalar(eps));
  if (weight) {
    y = y * *weight;
  }
  if (bias) {
    y = y + *bias;
  }
  return mx::astype(y, x.dtype());
}
