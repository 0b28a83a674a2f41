#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "Scalar.h"
#include "Scales.h"
#include "cubic_kernel.h"
#include "triangle_kernel.h"
#include "weighted_rows.h"

// torch's interpolate, "bilinear" or "bicubic" with antialias, of [N, H, W, C].
// scale: the scale_factor where torch was given one; it decides what is read.
inline mx::array interpolate_antialias(
    const mx::array& x,
    const mx::Shape& size,
    const std::string& mode = "bilinear",
    bool align_corners = false,
    const Scales& scale = std::nullopt) {
  bool linear = mode == "bilinear";
  int reach = linear ? 1 : 2;
  auto out = mx::astype(x, mx::float32);
  int axis = -static_cast<int>(size.size()) - 1;
  for (int out_size : size) {
    int n = x.shape(axis);
    auto factor = scale.of(axis);
    double ratio = factor ? 1 / *factor : n / double(out_size);
    if (align_corners) {
      ratio = out_size > 1 ? (n - 1) / double(out_size - 1) : 0;
    }
    double stretch = std::max(ratio, 1.0);
    double support = reach * stretch;
    auto centre = (mx::arange(out_size) + Scalar(0.5)) * Scalar(ratio);
    auto first = centre - Scalar(support) + Scalar(0.5);
    auto last = centre + Scalar(support) + Scalar(0.5);
    auto start = mx::maximum(mx::astype(first, mx::int32), mx::array(0));
    auto stop = mx::minimum(mx::astype(last, mx::int32), mx::array(n));
    std::vector<mx::array> index;
    std::vector<mx::array> taps;
    int count = 2 * static_cast<int>(std::ceil(support)) + 1;
    for (int k = 0; k < count; ++k) {
      auto i = start + k;
      auto d = (i - centre + Scalar(0.5)) / Scalar(stretch);
      taps.push_back(
          (linear ? nn::triangle_kernel(d) : nn::cubic_kernel(d)) * (i < stop));
      index.push_back(mx::minimum(i, mx::array(n - 1)));
    }
    auto weights = mx::stack(taps, 0);
    weights = weights / mx::sum(weights, 0);
    out = nn::weighted_rows(out, axis, index, mx::unstack(weights, 0));
    ++axis;
  }
  return mx::astype(out, x.dtype());
}
