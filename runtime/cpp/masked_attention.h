#include "Scalar.h"

// torch's attention with a boolean mask: zero for a query that may see no key.
inline mx::array masked_attention(
    const mx::array& queries,
    const mx::array& keys,
    const mx::array& values,
    const mx::array& mask,
    float scale) {
  auto out = mx::fast::scaled_dot_product_attention(
      queries, keys, values, scale, /* mask_mode = */ "array", mask);
  auto visible = mx::any(mask, -1, /* keepdims = */ true);
  return mx::where(visible, out, Scalar(0).like(out));
}
