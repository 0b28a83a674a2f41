#include "Scalar.h"

// The angle of the points (b, a), where one side is a number.
inline mx::array arctan2(const mx::array& a, Scalar b) {
  return mx::arctan2(a, b.like(a));
}

inline mx::array arctan2(Scalar a, const mx::array& b) {
  return mx::arctan2(a.like(b), b);
}
