#include <optional>
#include <string>

#include "Weights.h"

// torch.nn.LayerNorm over the last axis.
class LayerNorm {
 public:
  LayerNorm(
      const Weights& weights,
      const std::string& name,
      int dims,
      float eps = 1e-5f,
      bool affine = true,
      bool bias = true)
      : weight_(weights.get_if(affine, name + ".weight", {dims})),
        bias_(weights.get_if(affine && bias, name + ".bias", {dims})),
        eps_(eps) {}

  mx::array operator()(const mx::array& x) const {
    return mx::fast::layer_norm(x, weight_, bias_, eps_);
  }

  // The weights themselves, where the model reads them.
  const mx::array& weight() const {
    return *weight_;
  }

  const mx::array& bias() const {
    return *bias_;
  }

 private:
  std::optional<mx::array> weight_;
  std::optional<mx::array> bias_;
  float eps_;
};
