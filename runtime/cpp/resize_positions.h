#include <algorithm>
#include <optional>

#include "Scalar.h"

// Where torch's interpolate reads an axis of `size` elements to make out_size,
// in float32 as there. scale: the scale_factor, if torch was given one.
inline mx::array resize_positions(
    int size,
    int out_size,
    bool align_corners,
    std::optional<double> scale) {
  auto i = mx::arange(out_size);
  if (align_corners) {
    return i * Scalar((size - 1) / double(std::max(out_size - 1, 1)));
  }
  double ratio = scale ? 1 / *scale : size / double(out_size);
  return (i + Scalar(0.5)) * Scalar(ratio) - Scalar(0.5);
}
