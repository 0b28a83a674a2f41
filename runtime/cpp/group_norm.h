#include <optional>

// torch's group_norm over x [N, *spatial, C].
inline mx::array group_norm(
    const mx::array& x,
    int groups,
    const std::optional<mx::array>& weight = std::nullopt,
    const std::optional<mx::array>& bias = std::nullopt,
    float eps = 1e-5f) {
  int N = x.shape(0);
  int width = x.shape(-1) / groups;
  auto y = mx::swapaxes(mx::reshape(x, {N, -1, groups, width}), 1, 2);
  y = mx::reshape(y, {N, groups, -1});
  y = mx::fast::layer_norm(y, std::nullopt, std::nullopt, eps);
  y = mx::swapaxes(mx::reshape(y, {N, groups, -1, width}), 1, 2);
  y = mx::reshape(y, x.shape());
  if (weight) {
    y = y * *weight;
  }
  if (bias) {
    y = y + *bias;
  }
  return mx::astype(y, x.dtype());
}
