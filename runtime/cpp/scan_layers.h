#include <optional>
#include <vector>

#include "CellWeights.h"
#include "flip_time.h"
#include "join_steps.h"

// Stacks recurrent layers over time (x's first axis, or second if batch_first).
// `scan(x, states, weights)` runs one of them: it adds the state after each
// step to the initial one. The first axis of each state and `weights` go by
// layer and direction. With lengths, a row of the batch ends, and backwards
// starts, at its own.
template <typename Scan>
std::vector<mx::array> scan_layers(
    const Scan& scan,
    const mx::array& x,
    const std::vector<mx::array>& state,
    const std::vector<CellWeights>& weights,
    bool bidirectional,
    bool batch_first = false,
    std::optional<mx::array> lengths = std::nullopt) {
  size_t directions = bidirectional ? 2 : 1;
  auto sequence = batch_first ? mx::swapaxes(x, 0, 1) : x;
  if (lengths) {
    auto most = mx::array(sequence.shape(0), lengths->dtype());
    lengths = mx::minimum(*lengths, most);
  }
  std::vector<std::vector<mx::array>> last_states(state.size());
  for (size_t first = 0; first < weights.size(); first += directions) {
    std::vector<mx::array> outputs;
    for (size_t k = first; k < first + directions; ++k) {
      bool backward = k > first;
      std::vector<std::vector<mx::array>> states(1);
      for (const auto& s : state) {
        states[0].push_back(mx::take(s, static_cast<int>(k), 0));
      }
      scan(
          backward ? flip_time(sequence, lengths) : sequence,
          states,
          weights.at(k));
      auto [out, last] = join_steps(states, lengths);
      outputs.push_back(backward ? flip_time(out, lengths) : out);
      for (size_t s = 0; s < state.size(); ++s) {
        last_states[s].push_back(last[s]);
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
