#include <optional>
#include <vector>

#include "adaptive_windows.h"

// torch's adaptive_max_pool1d/2d/3d over x [N, *spatial, C]; std::nullopt keeps
// a size.
inline mx::array adaptive_max_pool(
    const mx::array& x,
    const std::vector<std::optional<int>>& output_size) {
  int rank = output_size.size();
  auto out = x;
  for (int i = 0; i < rank; ++i) {
    int axis = i - rank - 1;
    if (output_size[i]) {
      auto [index, _] = adaptive_windows(out.shape(axis), *output_size[i]);
      auto windows = mx::take(mx::moveaxis(out, axis, 0), index, 0);
      out = mx::moveaxis(mx::max(windows, 1), 0, axis);
    }
  }
  return out;
}
