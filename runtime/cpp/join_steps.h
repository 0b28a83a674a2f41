#include <optional>
#include <tuple>
#include <vector>

// Outputs [L, N, H] and last state of a recurrent layer. states: the initial
// one, then one a step; h, the first part of it, is the output. A row ends at
// its length: its outputs past it are 0.
inline std::tuple<mx::array, std::vector<mx::array>> join_steps(
    const std::vector<std::vector<mx::array>>& states,
    const std::optional<mx::array>& lengths = std::nullopt) {
  std::vector<mx::array> outputs;
  for (size_t t = 1; t < states.size(); ++t) {
    outputs.push_back(states[t].front());
  }
  auto out = mx::stack(outputs);
  if (!lengths) {
    return {out, states.back()};
  }
  auto ends = mx::expand_dims(*lengths, {0, 2});
  std::vector<mx::array> last;
  for (size_t part = 0; part < states.front().size(); ++part) {
    std::vector<mx::array> steps;
    for (const auto& state : states) {
      steps.push_back(state[part]);
    }
    auto end = mx::take_along_axis(mx::stack(steps), ends, 0);
    last.push_back(mx::squeeze(end, 0));
  }
  auto steps = mx::arange(out.shape(0), lengths->dtype());
  auto valid = mx::expand_dims(steps, {1, 2}) < ends;
  return {mx::where(valid, out, mx::array(0, out.dtype())), last};
}
