#include <optional>
#include <string>
#include <vector>

#include "CellWeights.h"
#include "Weights.h"

// The parameters and options that torch's recurrent layers have in common; the
// parameters have torch's names (`weight_ih_l0`).
class Recurrent {
 public:
  Recurrent(
      const Weights& weights,
      const std::string& name,
      int gates,
      int input_size,
      int hidden_size,
      int num_layers,
      bool bias,
      bool bidirectional,
      bool batch_first,
      int proj_size)
      : bidirectional(bidirectional), batch_first_(batch_first) {
    int out_size = proj_size > 0 ? proj_size : hidden_size;
    int directions = bidirectional ? 2 : 1;
    int width = gates * hidden_size;
    for (int k = 0; k < num_layers * directions; ++k) {
      std::string end = "_l" + std::to_string(k / directions) +
          (k % directions == 1 ? "_reverse" : "");
      int in_size = k < directions ? input_size : out_size * directions;
      auto get = [&](bool wanted, std::string part, const mx::Shape& shape) {
        return weights.get_if(wanted, name + "." + part + end, shape);
      };
      cells.push_back(
          {get(true, "weight_ih", {width, in_size}),
           get(true, "weight_hh", {width, out_size}),
           get(bias, "bias_ih", {width}),
           get(bias, "bias_hh", {width}),
           get(proj_size > 0, "weight_hr", {proj_size, hidden_size})});
    }
  }

  // Zeros for each layer and direction; x is [L, N, D] or [L, D].
  mx::array initial_state(const mx::array& x, int size) const {
    mx::Shape shape = x.shape();
    shape.front() = cells.size();
    shape.back() = size;
    return mx::zeros(shape, x.dtype());
  }

  // Swaps batch and time where batch comes first; its own inverse.
  mx::array time_first(const mx::array& x) const {
    return batch_first_ && x.ndim() == 3 ? mx::swapaxes(x, 0, 1) : x;
  }

  std::vector<CellWeights> cells;
  bool bidirectional;

 private:
  bool batch_first_;
};
