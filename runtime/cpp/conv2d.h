#include "Size.h"

// torch's conv2d over x [N, H, W, C] with weight
// [out, kH, kW, in].
inline mx::array conv2d(
    const mx::array& x,
    const mx::array& weight,
    Size<2> stride = 1,
    Size<2> padding = 0,
    Size<2> dilation = 1,
    int groups = 1) {
  return mx::conv2d(
      x, weight, stride.packed(), padding.packed(), dilation.packed(), groups);
}
