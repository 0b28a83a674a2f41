#include <optional>

#include "Scalar.h"

// An argument that is an array, a number or absent, as an array that can meet
// `x`: a number takes the dtype that it has beside x.
inline mx::array as_array(const mx::array& value, const mx::array&) {
  return value;
}

inline mx::array as_array(Scalar value, const mx::array& x) {
  return value.like(x);
}

inline std::optional<mx::array> as_array(std::nullopt_t, const mx::array&) {
  return std::nullopt;
}
