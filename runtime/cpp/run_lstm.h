#include <tuple>
#include <vector>

#include "CellWeights.h"
#include "HiddenGates.h"
#include "affine.h"
#include "lstm_gates.h"
#include "scan_layers.h"

// One layer and direction of an LSTM over x [L, ..., D]: outputs, last h and c.
inline std::vector<mx::array> scan_lstm(
    const mx::array& x,
    const std::vector<mx::array>& state,
    const CellWeights& weights) {
  auto h = state[0];
  auto c = state[1];
  auto w_hr = cell_weight(weights, 4);
  HiddenGates h_gates(weights);
  std::vector<mx::array> outputs;
  auto gates = affine(x, *weights.at(0), cell_weight(weights, 2));
  for (const auto& x_gates : mx::unstack(gates, 0)) {
    std::tie(h, c) = lstm_gates(x_gates + h_gates(h), c);
    if (w_hr) {
      h = affine(h, *w_hr);
    }
    outputs.push_back(h);
  }
  return {mx::stack(outputs), h, c};
}

// torch.lstm over x [L, N, D], [L, D] or, if batch_first, [N, L, D]: all
// outputs, the last h and the last c.
inline std::tuple<mx::array, mx::array, mx::array> run_lstm(
    const mx::array& x,
    const mx::array& h,
    const mx::array& c,
    const std::vector<CellWeights>& weights,
    bool bidirectional = false,
    bool batch_first = false) {
  auto out =
      scan_layers(scan_lstm, x, {h, c}, weights, bidirectional, batch_first);
  return {out[0], out[1], out[2]};
}
