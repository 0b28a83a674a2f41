#include "Size.h"

// torch's conv_transpose3d over x [N, D, H, W, C] with weight
// [out, kD, kH, kW, in].
inline mx::array conv_transpose3d(
    const mx::array& x,
    const mx::array& weight,
    Size<3> stride = 1,
    Size<3> padding = 0,
    Size<3> dilation = 1,
    Size<3> output_padding = 0,
    int groups = 1) {
  return mx::conv_transpose3d(
      x,
      weight,
      stride.packed(),
      padding.packed(),
      dilation.packed(),
      output_padding.packed(),
      groups);
}
