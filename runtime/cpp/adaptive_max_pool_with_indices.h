#include <optional>
#include <tuple>
#include <vector>

#include "adaptive_windows.h"
#include "argmax_windows.h"

// torch's adaptive_max_pool with return_indices over x [N, *spatial, C]. The
// int64 indices point into the flattened spatial axes.
inline std::tuple<mx::array, mx::array> adaptive_max_pool_with_indices(
    const mx::array& x,
    const std::vector<std::optional<int>>& output_size) {
  int rank = output_size.size();
  std::vector<mx::array> windows;
  for (int i = 0; i < rank; ++i) {
    int size = x.shape(i - rank - 1);
    auto [index, _] = adaptive_windows(size, output_size[i].value_or(size));
    windows.push_back(mx::transpose(index));
  }
  return argmax_windows(x, windows);
}
