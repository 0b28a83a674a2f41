#include <vector>

#include "CellWeights.h"

// Stacks recurrent layers over time (x's first axis, or second if batch_first).
// `scan(x, state, weights)` runs one of them and returns its outputs and last
// state. The first axis of each state and `weights` go by layer and direction.
template <typename Scan>
std::vector<mx::array> scan_layers(
    const Scan& scan,
    const mx::array& x,
    const std::vector<mx::array>& state,
    const std::vector<CellWeights>& weights,
    bool bidirectional,
    bool batch_first = false) {
  size_t directions = bidirectional ? 2 : 1;
  auto sequence = batch_first ? mx::swapaxes(x, 0, 1) : x;
  std::vector<std::vector<mx::array>> last_states(state.size());
  for (size_t first = 0; first < weights.size(); first += directions) {
    std::vector<mx::array> outputs;
    for (size_t k = first; k < first + directions; ++k) {
      bool backward = k > first;
      std::vector<mx::array> start;
      for (const auto& s : state) {
        start.push_back(mx::take(s, static_cast<int>(k), 0));
      }
      auto out = scan(
          backward ? mx::flip(sequence, 0) : sequence, start, weights.at(k));
      outputs.push_back(backward ? mx::flip(out[0], 0) : out[0]);
      for (size_t s = 0; s < state.size(); ++s) {
        last_states[s].push_back(out[s + 1]);
      }
    }
    sequence = mx::concatenate(outputs, -1);
  }
  std::vector<mx::array> results = {
      batch_first ? mx::swapaxes(sequence, 0, 1) : sequence};
  for (const auto& states : last_states) {
    results.push_back(mx::stack(states));
  }
  return results;
}
