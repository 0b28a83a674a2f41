#include "model.h"

#include <stdexcept>

namespace tiny {

Model Model::load(const std::string& path, bool check_indices) {
  return Model(nn::Weights::load(path), check_indices);
}

Model::Model(const nn::Weights& weights, bool check_indices)
    : check_indices_(check_indices),
      weight_(weights.get("linear.weight", {3, 4})),
      calls_(std::make_shared<std::atomic<int>>(0)) {}

nn::Tensors Model::run(const nn::Tensors& inputs) const {
  nn::check_names(inputs, input_names());
  const mx::array& x = inputs.at("x");
  if (x.ndim() != 2 || x.shape(1) != 4) {
    throw std::invalid_argument("input 'x':\n it must be float32 (B, 4)");
  }
  if (check_indices_ && x.shape(0) >= 1000) {
    throw std::invalid_argument("there are too many rows");
  }
  if (++*calls_ > inputs.at("fuse").item<int>()) {
    throw std::runtime_error("the fuse has blown");
  }
  mx::array y = mx::matmul(x, mx::transpose(weight_));
  return {
      {"y", y},
      {"turned", mx::transpose(y)},
      {"half", mx::astype(y, mx::bfloat16)}};
}

std::vector<std::string> Model::input_names() {
  return {"x", "fuse"};
}

} // namespace tiny
