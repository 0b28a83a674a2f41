#include "Scalar.h"

// mx.right_shift where one side may be a number.
inline mx::array right_shift(const mx::array& a, const mx::array& b) {
  return mx::right_shift(a, b);
}

inline mx::array right_shift(const mx::array& a, Scalar b) {
  return mx::right_shift(a, b.like(a));
}

inline mx::array right_shift(Scalar a, const mx::array& b) {
  return mx::right_shift(a.like(b), b);
}
