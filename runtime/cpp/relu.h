#include "Scalar.h"

// torch's relu.
inline mx::array relu(const mx::array& x) {
  return mx::maximum(x, Scalar(0).like(x));
}
