#include <vector>

#include "patch_slices.h"

// torch.nn.functional.fold: [..., C * kH * kW, patches] to [..., C, H, W].
inline mx::array col2im(
    const mx::array& x,
    const std::vector<int>& output_size,
    const std::vector<int>& kernel,
    const std::vector<int>& dilation = {1, 1},
    const std::vector<int>& padding = {0, 0},
    const std::vector<int>& stride = {1, 1}) {
  auto axis_rows = [&](int d) {
    return nn::patch_slices(
        output_size[d], kernel[d], dilation[d], padding[d], stride[d]);
  };
  int taps = kernel[0] * kernel[1];
  int rank = static_cast<int>(x.ndim()) + 1; // of the result
  mx::Shape shape(x.shape().begin(), x.shape().end() - 2);
  shape.push_back(x.shape(-2) / taps);
  mx::Shape split = shape;
  split.push_back(taps);
  split.push_back(x.shape(-1));
  auto patches = mx::reshape(x, split);
  shape.push_back(output_size[0] + 2 * padding[0]);
  shape.push_back(output_size[1] + 2 * padding[1]);
  auto out = mx::zeros(shape, x.dtype());
  mx::Shape start(rank, 0);
  mx::Shape stop = shape;
  mx::Shape step(rank, 1);
  int k = 0;
  for (auto [top, bottom, down] : axis_rows(0)) {
    for (auto [left, right, over] : axis_rows(1)) {
      start[rank - 2] = top;
      start[rank - 1] = left;
      stop[rank - 2] = bottom;
      stop[rank - 1] = right;
      step[rank - 2] = down;
      step[rank - 1] = over;
      mx::Shape size = shape;
      size[rank - 2] = (bottom - top + down - 1) / down;
      size[rank - 1] = (right - left + over - 1) / over;
      auto patch = mx::reshape(mx::take(patches, k, -2), size);
      out = mx::slice_update_add(out, patch, start, stop, step);
      ++k;
    }
  }
  mx::Shape first(rank, 0);
  mx::Shape last = shape;
  for (int d = 0; d < 2; ++d) {
    first[rank - 2 + d] = padding[d];
    last[rank - 2 + d] = padding[d] + output_size[d];
  }
  return mx::slice(out, first, last);
}
