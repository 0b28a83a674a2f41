#include "Size.h"

// torch's conv_transpose2d over x [N, H, W, C] with weight
// [out, kH, kW, in].
inline mx::array conv_transpose2d(
    const mx::array& x,
    const mx::array& weight,
    Size<2> stride = 1,
    Size<2> padding = 0,
    Size<2> dilation = 1,
    Size<2> output_padding = 0,
    int groups = 1) {
  return mx::conv_transpose2d(
      x,
      weight,
      stride.packed(),
      padding.packed(),
      dilation.packed(),
      output_padding.packed(),
      groups);
}
