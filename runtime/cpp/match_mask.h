#include <limits>

#include "Scalar.h"
#include "maximum.h"

// An additive mask in the dtype of the queries, clamped to its range.
inline mx::array match_mask(const mx::array& mask, const mx::array& queries) {
  auto dtype = queries.dtype();
  if (mask.dtype() == dtype) {
    return mask;
  }
  float lowest = dtype == mx::float16 ? -65504.0f
      : dtype == mx::bfloat16         ? -3.3895314e38f
                                      : std::numeric_limits<float>::lowest();
  return mx::astype(nn::maximum(mask, Scalar(lowest)), dtype);
}
