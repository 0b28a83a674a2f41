#include "Scalar.h"

// mx.power where one side may be a number.
inline mx::array power(const mx::array& a, const mx::array& b) {
  return mx::power(a, b);
}

inline mx::array power(const mx::array& a, Scalar b) {
  return mx::power(a, b.like(a));
}

inline mx::array power(Scalar a, const mx::array& b) {
  return mx::power(a.like(b), b);
}
