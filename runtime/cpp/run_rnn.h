#include <optional>
#include <tuple>
#include <vector>

#include "CellWeights.h"
#include "HiddenGates.h"
#include "affine.h"
#include "scan_layers.h"
#include "tanh.h"

// torch.rnn_tanh, or torch.rnn_relu with nn::relu, over x [L, N, D], [L, D] or,
// if batch_first, [N, L, D]: all outputs and the last h. lengths: the number of
// steps of each row, [N]; outputs past them are 0.
inline std::tuple<mx::array, mx::array> run_rnn(
    const mx::array& x,
    const mx::array& h,
    const std::vector<CellWeights>& weights,
    bool bidirectional = false,
    mx::array (*nonlinearity)(const mx::array&) = nn::tanh,
    bool batch_first = false,
    const std::optional<mx::array>& lengths = std::nullopt) {
  auto scan = [nonlinearity](
                  const mx::array& x,
                  std::vector<std::vector<mx::array>>& states,
                  const CellWeights& weights) {
    auto h = states.back()[0];
    HiddenGates h_gates(weights);
    auto gates = affine(x, *weights.at(0), cell_weight(weights, 2));
    for (const auto& x_t : mx::unstack(gates, 0)) {
      h = nonlinearity(x_t + h_gates(h));
      states.push_back({h});
    }
  };
  auto out =
      scan_layers(scan, x, {h}, weights, bidirectional, batch_first, lengths);
  return {out[0], out[1]};
}
