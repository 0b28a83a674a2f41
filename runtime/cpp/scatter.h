#include "Scalar.h"
#include "axis_index.h"
#include "prefix.h"
#include "update_at.h"

// torch.scatter: x with src written along an axis at the index; src may be
// larger than the index, or a number.
inline mx::array scatter(
    const mx::array& x,
    int axis,
    const mx::array& index,
    const mx::array& src) {
  auto values = src.ndim() ? nn::prefix(src, index.shape()) : src;
  return nn::update_at(x, nn::axis_index(index, axis), values, "set");
}

inline mx::array
scatter(const mx::array& x, int axis, const mx::array& index, Scalar src) {
  return nn::scatter(x, axis, index, src.like(x));
}
