#include "Scalar.h"
#include "update_at.h"
#include "whole_axes.h"

// torch.index_add: x with alpha * src added at the index along an axis.
inline mx::array index_add(
    const mx::array& x,
    int axis,
    const mx::array& index,
    const mx::array& src,
    float alpha = 1) {
  auto values = alpha == 1 ? src : Scalar(alpha) * src;
  return nn::update_at(x, nn::whole_axes(x, axis, index), values, "add");
}
