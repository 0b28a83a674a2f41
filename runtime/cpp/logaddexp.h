#include "Scalar.h"

// mx.logaddexp where one side may be a number.
inline mx::array logaddexp(const mx::array& a, const mx::array& b) {
  return mx::logaddexp(a, b);
}

inline mx::array logaddexp(const mx::array& a, Scalar b) {
  return mx::logaddexp(a, b.like(a));
}

inline mx::array logaddexp(Scalar a, const mx::array& b) {
  return mx::logaddexp(a.like(b), b);
}
