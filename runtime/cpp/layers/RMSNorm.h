#include <string>

#include "Weights.h"

// torch.nn.RMSNorm over the last axis.
class RMSNorm {
 public:
  RMSNorm(
      const Weights& weights,
      const std::string& name,
      int dims,
      float eps = 1e-5f)
      : weight_(weights.get(name + ".weight", {dims})), eps_(eps) {}

  mx::array operator()(const mx::array& x) const {
    return mx::fast::rms_norm(x, weight_, eps_);
  }

  // The weights themselves, where the model reads them.
  const mx::array& weight() const {
    return weight_;
  }

 private:
  mx::array weight_;
  float eps_;
};
