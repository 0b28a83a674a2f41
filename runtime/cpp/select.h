#include "slice.h"

// x[..., index, ...] along an axis of an array whose other axes may be empty; a
// negative index counts from the end.
inline mx::array select(const mx::array& x, int index, int axis) {
  int place = index < 0 ? index + x.shape(axis) : index;
  return mx::squeeze(nn::slice(x, axis, place, place + 1), axis);
}
