#include <optional>
#include <string>
#include <vector>

#include "index_places.h"

// x with values written to x[i, :, j], places as in nn::index; values
// broadcast. how: "set", or "add", "multiply", "maximum", "minimum" to combine
// them with x, where a place that is named twice counts twice.
inline mx::array update_at(
    const mx::array& x,
    const std::vector<std::optional<mx::array>>& places,
    const mx::array& values,
    const std::string& how) {
  index_places parts(x, places);
  auto updates = mx::astype(values, x.dtype());
  while (updates.ndim() > parts.shape.size() && updates.shape(0) == 1) {
    updates = mx::squeeze(updates, 0);
  }
  updates = mx::broadcast_to(updates, parts.shape);
  updates = mx::transpose(updates, parts.indices_first());
  mx::Shape full = parts.indices[0].shape();
  mx::Shape sizes = x.shape();
  for (int axis : parts.axes) {
    sizes[axis] = 1;
  }
  full.insert(full.end(), sizes.begin(), sizes.end());
  updates = mx::reshape(updates, full);
  if (how == "add") {
    return mx::scatter_add(x, parts.indices, updates, parts.axes);
  }
  if (how == "multiply") {
    return mx::scatter_prod(x, parts.indices, updates, parts.axes);
  }
  if (how == "maximum") {
    return mx::scatter_max(x, parts.indices, updates, parts.axes);
  }
  if (how == "minimum") {
    return mx::scatter_min(x, parts.indices, updates, parts.axes);
  }
  return mx::scatter(x, parts.indices, updates, parts.axes);
}
