#include "Scalar.h"
#include "fmod.h"

// torch.floor_divide of floats, which is Python's: 1.0 // 0.1 is 9.
inline mx::array floor_divide(const mx::array& a, const mx::array& b) {
  Scalar zero(0);
  auto rest = nn::fmod(a, b);
  auto below = (rest != zero) & ((rest < zero) != (b < zero));
  return mx::where(b == zero, a / b, mx::round((a - rest) / b - below));
}

inline mx::array floor_divide(const mx::array& a, Scalar b) {
  return nn::floor_divide(a, b.like(a));
}

inline mx::array floor_divide(Scalar a, const mx::array& b) {
  return nn::floor_divide(a.like(b), b);
}
