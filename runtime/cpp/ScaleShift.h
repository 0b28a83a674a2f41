#include <optional>
#include <string>

#include "Weights.h"

// The last step of a normalization: a factor and an offset for each channel, if
// the layer is affine.
class ScaleShift {
 public:
  ScaleShift(
      const Weights& weights,
      const std::string& name,
      int dims,
      bool affine)
      : weight_(weights.get_if(affine, name + ".weight", {dims})),
        bias_(weights.get_if(affine, name + ".bias", {dims})) {}

  mx::array operator()(const mx::array& x) const {
    return weight_ ? *weight_ * x + *bias_ : x;
  }

  const mx::array& weight() const {
    return *weight_;
  }

  const mx::array& bias() const {
    return *bias_;
  }

 private:
  std::optional<mx::array> weight_;
  std::optional<mx::array> bias_;
};
