#include <optional>
#include <tuple>

#include "affine.h"
#include "lstm_gates.h"

// torch.lstm_cell: the next (h, c).
inline std::tuple<mx::array, mx::array> lstm_cell(
    const mx::array& x,
    const mx::array& h,
    const mx::array& c,
    const mx::array& w_ih,
    const mx::array& w_hh,
    const std::optional<mx::array>& b_ih = std::nullopt,
    const std::optional<mx::array>& b_hh = std::nullopt) {
  return lstm_gates(affine(x, w_ih, b_ih) + affine(h, w_hh, b_hh), c);
}
