#include <optional>

#include "affine.h"
#include "tanh.h"

// torch.rnn_tanh_cell, or torch.rnn_relu_cell with nn::relu: the next h.
inline mx::array rnn_cell(
    const mx::array& x,
    const mx::array& h,
    const mx::array& w_ih,
    const mx::array& w_hh,
    const std::optional<mx::array>& b_ih = std::nullopt,
    const std::optional<mx::array>& b_hh = std::nullopt,
    mx::array (*nonlinearity)(const mx::array&) = nn::tanh) {
  return nonlinearity(affine(x, w_ih, b_ih) + affine(h, w_hh, b_hh));
}
