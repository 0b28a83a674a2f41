// A model written by hand with the interface of emitted ones.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "nn.h"

namespace tiny {

namespace mx = mlx::core;

class Model {
 public:
  static Model load(const std::string& path);
  explicit Model(const nn::Weights& weights);

  // x: float32 (B, 4). The results: (B, 3), and its transpose with other
  // strides. `fuse`, a number, is how many calls go well.
  nn::Tensors run(const nn::Tensors& inputs) const;
  static std::vector<std::string> input_names();

 private:
  mx::array weight_;
  std::shared_ptr<std::atomic<int>> calls_;
};

} // namespace tiny
