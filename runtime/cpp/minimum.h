#include "Scalar.h"

// mx.minimum where one side may be a number.
inline mx::array minimum(const mx::array& a, const mx::array& b) {
  return mx::minimum(a, b);
}

inline mx::array minimum(const mx::array& a, Scalar b) {
  return mx::minimum(a, b.like(a));
}

inline mx::array minimum(Scalar a, const mx::array& b) {
  return mx::minimum(a.like(b), b);
}
