#include <optional>

// torch's layer_norm over the last `rank` axes of x.
inline mx::array layer_norm(
    const mx::array& x,
    int rank,
    const std::optional<mx::array>& weight = std::nullopt,
    const std::optional<mx::array>& bias = std::nullopt,
    float eps = 1e-5f) {
  auto flat = [](const std::optional<mx::array>& a) {
    return a ? std::optional(mx::flatten(*a)) : std::nullopt;
  };
  auto y = mx::fast::layer_norm(
      mx::flatten(x, -rank, -1), flat(weight), flat(bias), eps);
  return mx::astype(mx::reshape(y, x.shape()), x.dtype());
}
