#include "Scalar.h"

// mx.left_shift where one side may be a number.
inline mx::array left_shift(const mx::array& a, const mx::array& b) {
  return mx::left_shift(a, b);
}

inline mx::array left_shift(const mx::array& a, Scalar b) {
  return mx::left_shift(a, b.like(a));
}

inline mx::array left_shift(Scalar a, const mx::array& b) {
  return mx::left_shift(a.like(b), b);
}
