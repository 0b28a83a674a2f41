#include "Scalar.h"

// mx.remainder where one side may be a number.
inline mx::array remainder(const mx::array& a, const mx::array& b) {
  return mx::remainder(a, b);
}

inline mx::array remainder(const mx::array& a, Scalar b) {
  return mx::remainder(a, b.like(a));
}

inline mx::array remainder(Scalar a, const mx::array& b) {
  return mx::remainder(a.like(b), b);
}
