#include <optional>
#include <vector>

// The scale_factor of an axis that counts from the end, before the channels; an
// empty list has none.
inline std::optional<double> axis_scale(
    const std::vector<std::optional<double>>& scale,
    int axis) {
  if (scale.empty()) {
    return std::nullopt;
  }
  return scale.at(scale.size() + axis + 1);
}
