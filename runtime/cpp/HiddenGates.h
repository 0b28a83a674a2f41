#include <optional>

#include "CellWeights.h"

// What a recurrent layer adds to its pre-activations from h at each step. The
// transposed matrix is one node of the graph for all steps.
class HiddenGates {
 public:
  explicit HiddenGates(const CellWeights& weights)
      : weight_(mx::transpose(*weights.at(1))),
        bias_(cell_weight(weights, 3)) {}

  mx::array operator()(const mx::array& h) const {
    return bias_ ? mx::addmm(*bias_, h, weight_) : mx::matmul(h, weight_);
  }

 private:
  mx::array weight_;
  std::optional<mx::array> bias_;
};
