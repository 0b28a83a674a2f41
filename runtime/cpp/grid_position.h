#include <string>

#include "Scalar.h"

// Positions on an axis of n elements, as grid_sample's padding modes move those
// outside.
inline mx::array grid_position(
    const mx::array& position,
    int n,
    const std::string& padding_mode,
    bool align_corners) {
  auto at = position;
  if (padding_mode == "zeros") {
    return at;
  }
  if (padding_mode == "reflection") {
    auto first = Scalar(align_corners ? 0.0 : -0.5);
    int span = align_corners ? n - 1 : n;
    if (span == 0) {
      return mx::zeros_like(at);
    }
    at = mx::abs(at - first) % Scalar(2 * span);
    at = mx::minimum(at, Scalar(2 * span) - at) + first;
  }
  return mx::clip(at, mx::array(0.0f), mx::array(float(n - 1)));
}
