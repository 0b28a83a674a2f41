#include <tuple>

// One LSTM step from pre-activations [..., 4 * H] in torch's order i, f, g, o:
// the next (h, c).
inline std::tuple<mx::array, mx::array> lstm_gates(
    const mx::array& gates,
    const mx::array& c) {
  auto parts = mx::split(gates, 4, -1);
  auto i = mx::sigmoid(parts[0]);
  auto f = mx::sigmoid(parts[1]);
  auto o = mx::sigmoid(parts[3]);
  auto next = f * c + i * mx::tanh(parts[2]);
  return {o * mx::tanh(next), next};
}
