#include <optional>
#include <vector>

// The places of an index array that acts on one axis of `x` alone.
inline std::vector<std::optional<mx::array>>
whole_axes(const mx::array& x, int axis, const mx::array& index) {
  int at = axis < 0 ? axis + static_cast<int>(x.ndim()) : axis;
  std::vector<std::optional<mx::array>> places(at, std::nullopt);
  places.push_back(index);
  return places;
}
