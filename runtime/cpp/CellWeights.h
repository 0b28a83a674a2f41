#include <optional>
#include <vector>

// The parameters of one layer and direction of a recurrent network: w_ih, w_hh,
// then b_ih, b_hh and, for an LSTM, w_hr, which may be absent.
using CellWeights = std::vector<std::optional<mx::array>>;

// The parameter at that place, or std::nullopt where the list is shorter.
inline std::optional<mx::array> cell_weight(
    const CellWeights& weights,
    size_t place) {
  return place < weights.size() ? weights[place] : std::nullopt;
}
