#include <string>
#include <utility>
#include <vector>

#include "Scalar.h"
#include "grid_taps.h"

// torch's grid_sample of x [N, *spatial, C] at grid [N, *out, 2 or 3]. The last
// axis of the grid goes x, y(, z), so against the axes of x.
inline mx::array grid_sample(
    const mx::array& x,
    const mx::array& grid,
    const std::string& mode = "bilinear",
    const std::string& padding_mode = "zeros",
    bool align_corners = false) {
  int spatial = static_cast<int>(x.ndim()) - 2;
  auto rows = mx::flatten(x, 1, -2);
  // The elements read so far by flat index, whether they exist, their weights.
  struct Corner {
    mx::array index;
    mx::array inside;
    mx::array weight;
  };
  std::vector<Corner> corners = {
      {mx::array(0), mx::array(true), mx::array(1.0f)}};
  for (int d = 0; d < spatial; ++d) {
    int n = x.shape(d + 1);
    auto at = mx::astype(mx::take(grid, spatial - 1 - d, -1), mx::float32);
    at = align_corners ? (at + Scalar(1)) / Scalar(2) * Scalar(n - 1)
                       : ((at + Scalar(1)) * Scalar(n) - Scalar(1)) / Scalar(2);
    std::vector<Corner> next;
    auto taps = nn::grid_taps(at, n, mode, padding_mode, align_corners);
    for (const auto& corner : corners) {
      for (const auto& [i, weight] : taps) {
        auto valid = (i >= Scalar(0)) & (i < Scalar(n));
        auto place =
            mx::astype(mx::where(valid, i, mx::array(0.0f)), mx::int32);
        next.push_back(
            {corner.index * n + place,
             corner.inside & valid,
             corner.weight * weight});
      }
    }
    corners = std::move(next);
  }
  mx::Shape shape = grid.shape();
  shape.back() = x.shape(-1);
  auto out = mx::zeros(shape);
  for (const auto& [index, inside, weight] : corners) {
    auto places = mx::reshape(index, {x.shape(0), -1, 1});
    auto values = mx::reshape(mx::take_along_axis(rows, places, 1), shape);
    values =
        mx::where(mx::expand_dims(inside, -1), values, mx::array(0, x.dtype()));
    out = out + values * mx::expand_dims(weight, -1);
  }
  return mx::astype(out, x.dtype());
}
