#include <optional>
#include <vector>

#include "Scalar.h"
#include "adaptive_windows.h"

// Means over the adaptive windows along the first axis.
inline mx::array average_rows(const mx::array& x, int out_size) {
  int size = x.shape(0);
  if (size % out_size == 0) {
    return mx::mean(mx::unflatten(x, 0, {out_size, size / out_size}), 1);
  }
  auto [index, valid] = adaptive_windows(size, out_size);
  auto rows = mx::take(x, index, 0);
  mx::Shape shape(x.ndim() + 1, 1);
  shape[0] = index.shape(0);
  shape[1] = index.shape(1);
  valid = mx::reshape(valid, shape);
  auto total = mx::sum(mx::where(valid, rows, Scalar(0).like(rows)), 1);
  return total / mx::sum(valid, 1);
}

// torch's adaptive_avg_pool1d/2d/3d over x [N, *spatial, C], in float32;
// std::nullopt keeps a size.
inline mx::array adaptive_avg_pool(
    const mx::array& x,
    const std::vector<std::optional<int>>& output_size) {
  int rank = output_size.size();
  auto out = mx::astype(x, mx::float32);
  for (int i = 0; i < rank; ++i) {
    int axis = i - rank - 1;
    if (output_size[i]) {
      auto rows = average_rows(mx::moveaxis(out, axis, 0), *output_size[i]);
      out = mx::moveaxis(rows, 0, axis);
    }
  }
  return mx::astype(out, x.dtype());
}
