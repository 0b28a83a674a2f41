#include "Scalar.h"
#include "update_at.h"
#include "whole_axes.h"

// torch.index_copy: x with src in place of the rows at the index along an axis;
// torch.index_fill where src is a number.
inline mx::array index_copy(
    const mx::array& x,
    int axis,
    const mx::array& index,
    const mx::array& src) {
  return nn::update_at(x, nn::whole_axes(x, axis, index), src, "set");
}

inline mx::array
index_copy(const mx::array& x, int axis, const mx::array& index, Scalar src) {
  return nn::index_copy(x, axis, index, src.like(x));
}
