#include <numeric>
#include <optional>
#include <vector>

#include "Scalar.h"

// torch's batch_norm over x [..., C] at inference, in float32. Without mean and
// var it normalizes by the statistics of the batch.
inline mx::array batch_norm(
    const mx::array& x,
    const std::optional<mx::array>& mean = std::nullopt,
    const std::optional<mx::array>& var = std::nullopt,
    const std::optional<mx::array>& weight = std::nullopt,
    const std::optional<mx::array>& bias = std::nullopt,
    float eps = 1e-5f) {
  auto y = mx::astype(x, mx::float32);
  std::vector<int> axes(x.ndim() - 1);
  std::iota(axes.begin(), axes.end(), 0);
  bool given = mean && var;
  auto center = given ? *mean : mx::mean(y, axes);
  auto spread = given ? mx::astype(*var, mx::float32) : mx::var(y, axes);
  auto scale = mx::rsqrt(spread + Scalar(eps));
  if (weight) {
    scale = scale * *weight;
  }
  auto shift = -center * scale;
  if (bias) {
    shift = shift + *bias;
  }
  return mx::astype(x * scale + shift, x.dtype());
}
