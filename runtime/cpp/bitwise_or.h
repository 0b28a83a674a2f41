#include "Scalar.h"

// mx.bitwise_or where one side may be a number.
inline mx::array bitwise_or(const mx::array& a, const mx::array& b) {
  return mx::bitwise_or(a, b);
}

inline mx::array bitwise_or(const mx::array& a, Scalar b) {
  return mx::bitwise_or(a, b.like(a));
}

inline mx::array bitwise_or(Scalar a, const mx::array& b) {
  return mx::bitwise_or(a.like(b), b);
}
