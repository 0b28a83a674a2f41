#include <optional>
#include <tuple>
#include <vector>

#include "CellWeights.h"
#include "HiddenGates.h"
#include "affine.h"
#include "lstm_gates.h"
#include "scan_layers.h"

// One layer and direction of an LSTM over x [L, ..., D]: adds h and c after
// each step to `states`.
inline void scan_lstm(
    const mx::array& x,
    std::vector<std::vector<mx::array>>& states,
    const CellWeights& weights) {
  auto h = states.back()[0];
  auto c = states.back()[1];
  auto w_hr = cell_weight(weights, 4);
  HiddenGates h_gates(weights);
  auto gates = affine(x, *weights.at(0), cell_weight(weights, 2));
  for (const auto& x_gates : mx::unstack(gates, 0)) {
    std::tie(h, c) = lstm_gates(x_gates + h_gates(h), c);
    if (w_hr) {
      h = affine(h, *w_hr);
    }
    states.push_back({h, c});
  }
}

// torch.lstm over x [L, N, D], [L, D] or, if batch_first, [N, L, D]: all
// outputs, the last h and the last c. lengths: the number of steps of each row,
// [N]; outputs past them are 0.
inline std::tuple<mx::array, mx::array, mx::array> run_lstm(
    const mx::array& x,
    const mx::array& h,
    const mx::array& c,
    const std::vector<CellWeights>& weights,
    bool bidirectional = false,
    bool batch_first = false,
    const std::optional<mx::array>& lengths = std::nullopt) {
  auto out = scan_layers(
      scan_lstm, x, {h, c}, weights, bidirectional, batch_first, lengths);
  return {out[0], out[1], out[2]};
}
