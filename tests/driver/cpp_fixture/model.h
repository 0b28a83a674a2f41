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
  static Model load(const std::string& path, bool check_indices = true);
  Model(const nn::Weights& weights, bool check_indices);

  // x: float32 (B, 4). The results: (B, 3), its transpose with other strides,
  // and it in half precision. `fuse` is how many calls go well. Where indices
  // are checked, those of the rows must lie below 1000.
  nn::Tensors run(const nn::Tensors& inputs) const;
  static std::vector<std::string> input_names();

 private:
  bool check_indices_;
  mx::array weight_;
  std::shared_ptr<std::atomic<int>> calls_;
};

} // namespace tiny
