#include <string>
#include <utility>
#include <vector>

#include "Scalar.h"

// x with pad_width (before, after) elements more on each axis; mode is
// "constant", "edge", "reflect" or "symmetric".
inline mx::array pad(
    const mx::array& x,
    const std::vector<std::pair<int, int>>& pad_width,
    const std::string& mode = "constant",
    Scalar constant_values = Scalar(0)) {
  return mx::pad(x, pad_width, constant_values.like(x), mode);
}

inline mx::array pad(
    const mx::array& x,
    const std::vector<std::pair<int, int>>& pad_width,
    const std::string& mode,
    const mx::array& constant_values) {
  return mx::pad(x, pad_width, constant_values, mode);
}
