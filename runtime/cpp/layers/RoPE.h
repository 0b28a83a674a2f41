#include <string>

#include "Weights.h"

// Rotary position embeddings of the first dims features of x (..., length,
// size), at the positions offset, offset + 1, ...
class RoPE {
 public:
  RoPE(
      const Weights&,
      const std::string&,
      int dims,
      bool traditional = false,
      float base = 10000.0f,
      float scale = 1.0f)
      : dims_(dims), traditional_(traditional), base_(base), scale_(scale) {}

  mx::array operator()(const mx::array& x, int offset = 0) const {
    return mx::fast::rope(x, dims_, traditional_, base_, scale_, offset);
  }

 private:
  int dims_;
  bool traditional_;
  float base_;
  float scale_;
};
