#include <optional>

#include "slice_bounds.h"

// torch.slice_scatter: x with src in place of x[start:stop:step] along an axis.
inline mx::array slice_scatter(
    const mx::array& x,
    const mx::array& src,
    int axis = 0,
    std::optional<int> start = std::nullopt,
    std::optional<int> stop = std::nullopt,
    int step = 1) {
  int at = axis < 0 ? axis + static_cast<int>(x.ndim()) : axis;
  auto [first, last] = nn::slice_bounds(x.shape(at), start, stop, step);
  mx::Shape begin(x.ndim(), 0);
  mx::Shape end = x.shape();
  mx::Shape strides(x.ndim(), 1);
  begin[at] = first;
  end[at] = last < first ? first : last;
  strides[at] = step;
  auto update = mx::astype(src, x.dtype());
  return mx::slice_update(x, update, begin, end, strides);
}
