#include <optional>
#include <string>
#include <variant>

#include "QuantizedWeight.h"
#include "Weights.h"
#include "affine.h"

// torch.nn.Linear: x [..., input_dims] to [..., output_dims]. Runs quantized
// where the weights are.
class Linear {
 public:
  Linear(
      const Weights& weights,
      const std::string& name,
      int input_dims,
      int output_dims,
      bool bias = true)
      : weight_(read(weights, name, input_dims, output_dims)),
        bias_(weights.get_if(bias, name + ".bias", {output_dims})) {}

  mx::array operator()(const mx::array& x) const {
    if (auto weight = std::get_if<mx::array>(&weight_)) {
      return affine(x, *weight, bias_);
    }
    auto y = std::get<QuantizedWeight>(weight_).matmul(x);
    return bias_ ? y + *bias_ : y;
  }

  // The matrix itself, where the model reads it; then it is not quantized.
  const mx::array& weight() const {
    return std::get<mx::array>(weight_);
  }

  const mx::array& bias() const {
    return *bias_;
  }

 private:
  using Weight = std::variant<mx::array, QuantizedWeight>;

  static Weight
  read(const Weights& weights, const std::string& name, int in, int out) {
    if (QuantizedWeight::found(weights, name)) {
      return QuantizedWeight(weights, name, out, in);
    }
    return weights.get(name + ".weight", {out, in});
  }

  Weight weight_;
  std::optional<mx::array> bias_;
};
