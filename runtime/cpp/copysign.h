#include "Scalar.h"

// torch.copysign: the magnitude of a with the sign of b, also of -0.0.
inline mx::array copysign(const mx::array& a, const mx::array& b) {
  auto negative = (b < Scalar(0)) | (Scalar(1) / b < Scalar(0));
  return mx::where(negative, -mx::abs(a), mx::abs(a));
}
