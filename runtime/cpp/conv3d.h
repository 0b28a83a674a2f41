#include "Size.h"

// torch's conv3d over x [N, D, H, W, C] with weight
// [out, kD, kH, kW, in].
inline mx::array conv3d(
    const mx::array& x,
    const mx::array& weight,
    Size<3> stride = 1,
    Size<3> padding = 0,
    Size<3> dilation = 1,
    int groups = 1) {
  return mx::conv3d(
      x, weight, stride.packed(), padding.packed(), dilation.packed(), groups);
}
