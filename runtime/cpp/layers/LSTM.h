#include <optional>
#include <string>
#include <tuple>

#include "Recurrent.h"
#include "Weights.h"
#include "run_lstm.h"

// torch.nn.LSTM over x [L, N, D], [L, D] or, if batch_first, [N, L, D]: all
// outputs, the last h and the last c. Without dropout. `lengths` are those of
// the rows, whose outputs past them are 0.
class LSTM {
 public:
  LSTM(
      const Weights& weights,
      const std::string& name,
      int input_size,
      int hidden_size,
      int num_layers = 1,
      bool bias = true,
      bool bidirectional = false,
      bool batch_first = false,
      int proj_size = 0)
      : layers_(
            weights,
            name,
            /* gates = */ 4,
            input_size,
            hidden_size,
            num_layers,
            bias,
            bidirectional,
            batch_first,
            proj_size),
        h_size_(proj_size > 0 ? proj_size : hidden_size),
        c_size_(hidden_size) {}

  // Starts from zeros if there is no h and c.
  std::tuple<mx::array, mx::array, mx::array> operator()(
      const mx::array& x,
      const std::optional<mx::array>& h = std::nullopt,
      const std::optional<mx::array>& c = std::nullopt,
      const std::optional<mx::array>& lengths = std::nullopt) const {
    auto y = layers_.time_first(x);
    auto [out, last_h, last_c] = run_lstm(
        y,
        h ? *h : layers_.initial_state(y, h_size_),
        c ? *c : layers_.initial_state(y, c_size_),
        layers_.cells,
        layers_.bidirectional,
        /* batch_first = */ false,
        lengths);
    return {layers_.time_first(out), last_h, last_c};
  }

 private:
  Recurrent layers_;
  int h_size_;
  int c_size_;
};
