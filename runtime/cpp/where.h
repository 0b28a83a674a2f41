#include "Scalar.h"

// mx.where where the values may be numbers. Two numbers take their own dtypes.
inline mx::array
where(const mx::array& condition, const mx::array& x, const mx::array& y) {
  return mx::where(condition, x, y);
}

inline mx::array
where(const mx::array& condition, const mx::array& x, Scalar y) {
  return mx::where(condition, x, y.like(x));
}

inline mx::array
where(const mx::array& condition, Scalar x, const mx::array& y) {
  return mx::where(condition, x.like(y), y);
}

inline mx::array where(const mx::array& condition, Scalar x, Scalar y) {
  return mx::where(condition, x.alone(), y.alone());
}
