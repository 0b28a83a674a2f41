#include <string>
#include <variant>

#include "QuantizedWeight.h"
#include "Weights.h"

// torch.nn.Embedding: indices [...] to rows [..., dims]. Runs quantized where
// the weights are. Indices are not checked.
class Embedding {
 public:
  Embedding(
      const Weights& weights,
      const std::string& name,
      int num_embeddings,
      int dims)
      : weight_(read(weights, name, num_embeddings, dims)) {}

  mx::array operator()(const mx::array& x) const {
    if (auto weight = std::get_if<mx::array>(&weight_)) {
      return mx::take(*weight, x, 0);
    }
    return std::get<QuantizedWeight>(weight_).take(x);
  }

  // x [..., dims] times the transposed table: the head of a model with tied
  // embeddings.
  mx::array as_linear(const mx::array& x) const {
    if (auto weight = std::get_if<mx::array>(&weight_)) {
      return mx::matmul(x, mx::transpose(*weight));
    }
    return std::get<QuantizedWeight>(weight_).matmul(x);
  }

  // The matrix itself, where the model reads it; then it is not quantized.
  const mx::array& weight() const {
    return std::get<mx::array>(weight_);
  }

 private:
  using Weight = std::variant<mx::array, QuantizedWeight>;

  static Weight
  read(const Weights& weights, const std::string& name, int rows, int dims) {
    if (QuantizedWeight::found(weights, name)) {
      return QuantizedWeight(weights, name, rows, dims);
    }
    return weights.get(name + ".weight", {rows, dims});
  }

  Weight weight_;
};
