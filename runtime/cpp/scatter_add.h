#include "axis_index.h"
#include "prefix.h"
#include "update_at.h"

// torch.scatter_add: x with src added along an axis at the index; src may be
// larger than the index.
inline mx::array scatter_add(
    const mx::array& x,
    int axis,
    const mx::array& index,
    const mx::array& src) {
  auto values = nn::prefix(src, index.shape());
  return nn::update_at(x, nn::axis_index(index, axis), values, "add");
}
