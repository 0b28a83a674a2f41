#include <tuple>
#include <vector>

#include "CellWeights.h"
#include "HiddenGates.h"
#include "affine.h"
#include "gru_gates.h"
#include "scan_layers.h"

// One layer and direction of a GRU over x [L, ..., D]: outputs and last h.
inline std::vector<mx::array> scan_gru(
    const mx::array& x,
    const std::vector<mx::array>& state,
    const CellWeights& weights) {
  auto h = state[0];
  HiddenGates h_gates(weights);
  std::vector<mx::array> outputs;
  auto gates = affine(x, *weights.at(0), cell_weight(weights, 2));
  for (const auto& x_gates : mx::unstack(gates, 0)) {
    h = gru_gates(x_gates, h_gates(h), h);
    outputs.push_back(h);
  }
  return {mx::stack(outputs), h};
}

// torch.gru over x [L, N, D], [L, D] or, if batch_first, [N, L, D]: all outputs
// and the last h.
inline std::tuple<mx::array, mx::array> run_gru(
    const mx::array& x,
    const mx::array& h,
    const std::vector<CellWeights>& weights,
    bool bidirectional = false,
    bool batch_first = false) {
  auto out = scan_layers(scan_gru, x, {h}, weights, bidirectional, batch_first);
  return {out[0], out[1]};
}
