#include "Scalar.h"

// mx.bitwise_xor where one side may be a number.
inline mx::array bitwise_xor(const mx::array& a, const mx::array& b) {
  return mx::bitwise_xor(a, b);
}

inline mx::array bitwise_xor(const mx::array& a, Scalar b) {
  return mx::bitwise_xor(a, b.like(a));
}

inline mx::array bitwise_xor(Scalar a, const mx::array& b) {
  return mx::bitwise_xor(a.like(b), b);
}
