#include <optional>
#include <string>
#include <tuple>

#include "Recurrent.h"
#include "Weights.h"
#include "relu.h"
#include "run_rnn.h"
#include "tanh.h"

// torch.nn.RNN over x [L, N, D], [L, D] or, if batch_first, [N, L, D]: all
// outputs and the last h. Without dropout. `lengths` are those of the rows,
// whose outputs past them are 0.
class RNN {
 public:
  RNN(const Weights& weights,
      const std::string& name,
      int input_size,
      int hidden_size,
      int num_layers = 1,
      const std::string& nonlinearity = "tanh",
      bool bias = true,
      bool bidirectional = false,
      bool batch_first = false)
      : layers_(
            weights,
            name,
            /* gates = */ 1,
            input_size,
            hidden_size,
            num_layers,
            bias,
            bidirectional,
            batch_first,
            /* proj_size = */ 0),
        hidden_size_(hidden_size),
        nonlinearity_(nonlinearity == "relu" ? nn::relu : nn::tanh) {}

  // Starts from zeros if there is no h.
  std::tuple<mx::array, mx::array> operator()(
      const mx::array& x,
      const std::optional<mx::array>& h = std::nullopt,
      const std::optional<mx::array>& lengths = std::nullopt) const {
    auto y = layers_.time_first(x);
    auto [out, last_h] = run_rnn(
        y,
        h ? *h : layers_.initial_state(y, hidden_size_),
        layers_.cells,
        layers_.bidirectional,
        nonlinearity_,
        /* batch_first = */ false,
        lengths);
    return {layers_.time_first(out), last_h};
  }

 private:
  Recurrent layers_;
  int hidden_size_;
  mx::array (*nonlinearity_)(const mx::array&);
};
