#include "Scalar.h"

// mx.maximum where one side may be a number.
inline mx::array maximum(const mx::array& a, const mx::array& b) {
  return mx::maximum(a, b);
}

inline mx::array maximum(const mx::array& a, Scalar b) {
  return mx::maximum(a, b.like(a));
}

inline mx::array maximum(Scalar a, const mx::array& b) {
  return mx::maximum(a.like(b), b);
}
