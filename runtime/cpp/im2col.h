#include <vector>

#include "patch_slices.h"
#include "slice.h"

// torch.nn.functional.unfold: [..., C, H, W] to [..., C * kH * kW, patches].
inline mx::array im2col(
    const mx::array& x,
    const std::vector<int>& kernel,
    const std::vector<int>& dilation = {1, 1},
    const std::vector<int>& padding = {0, 0},
    const std::vector<int>& stride = {1, 1}) {
  auto axis_rows = [&](int d) {
    return nn::patch_slices(
        x.shape(d - 2), kernel[d], dilation[d], padding[d], stride[d]);
  };
  auto padded = mx::pad(
      x,
      std::vector<int>{-2, -1},
      mx::Shape{padding[0], padding[1]},
      mx::Shape{padding[0], padding[1]},
      mx::array(0, x.dtype()));
  std::vector<mx::array> parts;
  for (auto [top, bottom, down] : axis_rows(0)) {
    auto rows = nn::slice(padded, -2, top, bottom, down);
    for (auto [left, right, over] : axis_rows(1)) {
      parts.push_back(nn::slice(rows, -1, left, right, over));
    }
  }
  mx::Shape shape(x.shape().begin(), x.shape().end() - 2);
  shape.back() *= kernel[0] * kernel[1];
  shape.push_back(parts[0].shape(-2) * parts[0].shape(-1));
  return mx::reshape(mx::stack(parts, -3), shape);
}
