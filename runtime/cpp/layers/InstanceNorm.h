#include <string>

#include "ScaleShift.h"
#include "Weights.h"

// torch.nn.InstanceNorm1d/2d/3d over x [N, *spatial, C].
class InstanceNorm {
 public:
  InstanceNorm(
      const Weights& weights,
      const std::string& name,
      int dims,
      float eps = 1e-5f,
      bool affine = false)
      : scale_shift_(weights, name, dims, affine), eps_(eps) {}

  mx::array operator()(const mx::array& x) const {
    auto y = mx::moveaxis(x, -1, 1);
    auto shape = y.shape();
    y = mx::fast::layer_norm(
        mx::flatten(y, 2, -1), std::nullopt, std::nullopt, eps_);
    return scale_shift_(mx::moveaxis(mx::reshape(y, shape), 1, -1));
  }

  // The weights themselves, where the model reads them.
  const mx::array& weight() const {
    return scale_shift_.weight();
  }

  const mx::array& bias() const {
    return scale_shift_.bias();
  }

 private:
  ScaleShift scale_shift_;
  float eps_;
};
