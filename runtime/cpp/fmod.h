#include "Scalar.h"

// torch.fmod: the remainder with the sign of the dividend, exact as in C.
inline mx::array fmod(const mx::array& a, const mx::array& b) {
  auto rest = mx::remainder(mx::abs(a), mx::abs(b));
  return mx::where(a < Scalar(0), -rest, rest);
}

inline mx::array fmod(const mx::array& a, Scalar b) {
  return nn::fmod(a, b.like(a));
}

inline mx::array fmod(Scalar a, const mx::array& b) {
  return nn::fmod(a.like(b), b);
}
