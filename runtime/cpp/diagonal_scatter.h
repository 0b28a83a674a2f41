#include "axes_last.h"
#include "diagonal_places.h"
#include "update_at.h"

// torch.diagonal_scatter: x with src [..., n] in place of a diagonal.
inline mx::array diagonal_scatter(
    const mx::array& x,
    const mx::array& src,
    int offset = 0,
    int axis1 = 0,
    int axis2 = 1) {
  int rank = static_cast<int>(x.ndim());
  axes_last axes(rank, axis1, axis2);
  auto places = nn::diagonal_places(rank, src.shape(-1), offset);
  auto out = nn::update_at(mx::transpose(x, axes.order), places, src, "set");
  return mx::transpose(out, axes.back);
}
