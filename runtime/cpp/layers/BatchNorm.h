#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "Scalar.h"
#include "ScaleShift.h"
#include "Weights.h"

// torch.nn.BatchNorm1d/2d/3d at inference over x [N, *spatial, C].
class BatchNorm {
 public:
  BatchNorm(
      const Weights& weights,
      const std::string& name,
      int num_features,
      float eps = 1e-5f,
      float /* momentum */ = 0.1f,
      bool affine = true,
      bool track_running_stats = true)
      : mean_(weights.get_if(
            track_running_stats,
            name + ".running_mean",
            {num_features})),
        var_(weights.get_if(
            track_running_stats,
            name + ".running_var",
            {num_features})),
        scale_shift_(weights, name, num_features, affine),
        eps_(eps) {}

  mx::array operator()(const mx::array& x) const {
    std::vector<int> axes(x.ndim() - 1);
    std::iota(axes.begin(), axes.end(), 0);
    auto mean = mean_ ? *mean_ : mx::mean(x, axes);
    auto var = var_ ? *var_ : mx::var(x, axes);
    return scale_shift_((x - mean) * mx::rsqrt(var + Scalar(eps_)));
  }

  // The weights themselves, where the model reads them.
  const mx::array& weight() const {
    return scale_shift_.weight();
  }

  const mx::array& bias() const {
    return scale_shift_.bias();
  }

 private:
  std::optional<mx::array> mean_;
  std::optional<mx::array> var_;
  ScaleShift scale_shift_;
  float eps_;
};
