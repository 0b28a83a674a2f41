#include <vector>

#include "Scalar.h"
#include "slice_bounds.h"

// x with src in place of its block from start to stop along each of the axes.
inline mx::array block_update(
    const mx::array& x,
    const mx::array& src,
    const std::vector<int>& axes,
    const std::vector<int>& starts,
    const std::vector<int>& stops) {
  mx::Shape begin(x.ndim(), 0);
  mx::Shape end = x.shape();
  for (size_t i = 0; i < axes.size(); ++i) {
    int at = axes[i];
    auto [first, last] = nn::slice_bounds(x.shape(at), starts[i], stops[i], 1);
    begin[at] = first;
    end[at] = last < first ? first : last;
  }
  return mx::slice_update(x, mx::astype(src, x.dtype()), begin, end);
}

inline mx::array block_update(
    const mx::array& x,
    Scalar src,
    const std::vector<int>& axes,
    const std::vector<int>& starts,
    const std::vector<int>& stops) {
  return block_update(x, src.like(x), axes, starts, stops);
}
