#include "Bound.h"

// mx.clip where the bounds may be numbers.
inline mx::array
clip(const mx::array& a, const Bound& a_min, const Bound& a_max) {
  return mx::clip(a, a_min.like(a), a_max.like(a));
}
