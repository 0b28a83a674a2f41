#include <stdexcept>
#include <string>

#include "Scalar.h"
#include "ScaleShift.h"
#include "Weights.h"
#include "group_norm.h"

// torch.nn.GroupNorm over x [N, *spatial, C] if pytorch_compatible; otherwise
// the channels of a group lie num_groups apart.
class GroupNorm {
 public:
  GroupNorm(
      const Weights& weights,
      const std::string& name,
      int num_groups,
      int dims,
      float eps = 1e-5f,
      bool affine = true,
      bool pytorch_compatible = false)
      : num_groups_(num_groups),
        pytorch_compatible_(pytorch_compatible),
        scale_shift_(weights, name, dims, affine),
        eps_(eps) {
    if (num_groups < 1 || dims % num_groups != 0) {
      throw std::invalid_argument(
          "'" + name + "': " + std::to_string(dims) + " channels do not make " +
          std::to_string(num_groups) + " groups");
    }
  }

  mx::array operator()(const mx::array& x) const {
    if (pytorch_compatible_) {
      return scale_shift_(
          group_norm(x, num_groups_, std::nullopt, std::nullopt, eps_));
    }
    auto y = mx::reshape(x, {x.shape(0), -1, num_groups_});
    auto mean = mx::mean(y, 1, /* keepdims = */ true);
    auto var = mx::var(y, 1, /* keepdims = */ true);
    y = (y - mean) * mx::rsqrt(var + Scalar(eps_));
    return scale_shift_(mx::reshape(y, x.shape()));
  }

  // The weights themselves, where the model reads them.
  const mx::array& weight() const {
    return scale_shift_.weight();
  }

  const mx::array& bias() const {
    return scale_shift_.bias();
  }

 private:
  int num_groups_;
  bool pytorch_compatible_;
  ScaleShift scale_shift_;
  float eps_;
};
