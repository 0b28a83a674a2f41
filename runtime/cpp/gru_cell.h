#include <optional>

#include "affine.h"
#include "gru_gates.h"

// torch.gru_cell: the next h.
inline mx::array gru_cell(
    const mx::array& x,
    const mx::array& h,
    const mx::array& w_ih,
    const mx::array& w_hh,
    const std::optional<mx::array>& b_ih = std::nullopt,
    const std::optional<mx::array>& b_hh = std::nullopt) {
  return gru_gates(affine(x, w_ih, b_ih), affine(h, w_hh, b_hh), h);
}
