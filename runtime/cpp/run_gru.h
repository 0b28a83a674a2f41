#include <optional>
#include <tuple>
#include <vector>

#include "CellWeights.h"
#include "HiddenGates.h"
#include "affine.h"
#include "gru_gates.h"
#include "scan_layers.h"

// One layer and direction of a GRU over x [L, ..., D]: adds h after each step
// to `states`.
inline void scan_gru(
    const mx::array& x,
    std::vector<std::vector<mx::array>>& states,
    const CellWeights& weights) {
  auto h = states.back()[0];
  HiddenGates h_gates(weights);
  auto gates = affine(x, *weights.at(0), cell_weight(weights, 2));
  for (const auto& x_gates : mx::unstack(gates, 0)) {
    h = gru_gates(x_gates, h_gates(h), h);
    states.push_back({h});
  }
}

// torch.gru over x [L, N, D], [L, D] or, if batch_first, [N, L, D]: all outputs
// and the last h. lengths: the number of steps of each row, [N]; outputs past
// them are 0.
inline std::tuple<mx::array, mx::array> run_gru(
    const mx::array& x,
    const mx::array& h,
    const std::vector<CellWeights>& weights,
    bool bidirectional = false,
    bool batch_first = false,
    const std::optional<mx::array>& lengths = std::nullopt) {
  auto out = scan_layers(
      scan_gru, x, {h}, weights, bidirectional, batch_first, lengths);
  return {out[0], out[1]};
}
