#include <optional>
#include <vector>

#include "index_places.h"

// x[i, :, j] by arrays of integers, std::nullopt for a whole axis: the arrays
// broadcast together, negative indices count from the end. The axes of the
// arrays stay in place if they are adjacent, else they come first, as in NumPy.
inline mx::array index(
    const mx::array& x,
    const std::vector<std::optional<mx::array>>& places) {
  index_places parts(x, places);
  mx::Shape sizes = x.shape();
  std::vector<int> taken;
  int rank = static_cast<int>(parts.indices[0].ndim());
  for (int axis : parts.axes) {
    sizes[axis] = 1;
    taken.push_back(rank + axis);
  }
  auto out = mx::gather(x, parts.indices, parts.axes, sizes);
  out = mx::squeeze(out, taken);
  std::vector<int> front = parts.indices_first();
  std::vector<int> back(front.size());
  for (size_t i = 0; i < front.size(); ++i) {
    back[front[i]] = static_cast<int>(i);
  }
  return parts.at == 0 ? out : mx::transpose(out, back);
}
