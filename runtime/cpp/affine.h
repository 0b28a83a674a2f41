#include <optional>

// torch.nn.functional.linear: weight is [out, in], bias [out].
inline mx::array affine(
    const mx::array& x,
    const mx::array& weight,
    const std::optional<mx::array>& bias = std::nullopt) {
  auto transposed = mx::transpose(weight);
  return bias ? mx::addmm(*bias, x, transposed) : mx::matmul(x, transposed);
}
