#include "Scalar.h"

// mx.bitwise_and where one side may be a number.
inline mx::array bitwise_and(const mx::array& a, const mx::array& b) {
  return mx::bitwise_and(a, b);
}

inline mx::array bitwise_and(const mx::array& a, Scalar b) {
  return mx::bitwise_and(a, b.like(a));
}

inline mx::array bitwise_and(Scalar a, const mx::array& b) {
  return mx::bitwise_and(a.like(b), b);
}
