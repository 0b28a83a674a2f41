#include <stdexcept>
#include <string>

#include "axis_index.h"
#include "prefix.h"
#include "type_limits.h"
#include "update_at.h"

// torch.scatter_reduce by "sum", "prod", "mean", "amax" or "amin": src combined
// into x along an axis at the index; without include_self, the elements of x
// that src meets do not count.
inline mx::array scatter_reduce(
    const mx::array& x,
    int axis,
    const mx::array& index,
    const mx::array& src,
    const std::string& reduce,
    bool include_self = true) {
  auto values = nn::prefix(src, index.shape());
  auto places = nn::axis_index(index, axis);
  auto one = mx::array(1, mx::int32);
  auto count =
      nn::update_at(mx::zeros(x.shape(), mx::int32), places, one, "add");
  auto out = x;
  if (!include_self) {
    auto neutral = mx::array(reduce == "prod" ? 1 : 0, x.dtype());
    if (reduce == "amax" || reduce == "amin") {
      auto [lowest, highest] = nn::type_limits(x.dtype());
      neutral = reduce == "amax" ? lowest : highest;
    }
    out = mx::where(count > 0, neutral, x);
  }
  if (reduce == "prod") {
    return nn::update_at(out, places, values, "multiply");
  }
  if (reduce == "amax") {
    return nn::update_at(out, places, values, "maximum");
  }
  if (reduce == "amin") {
    return nn::update_at(out, places, values, "minimum");
  }
  out = nn::update_at(out, places, values, "add");
  if (reduce == "sum") {
    return out;
  }
  if (reduce != "mean") {
    throw std::invalid_argument("scatter_reduce: unknown \"" + reduce + "\"");
  }
  count = mx::maximum(include_self ? count + one : count, one);
  if (mx::issubdtype(x.dtype(), mx::integer)) {
    return mx::astype(mx::floor_divide(out, count), x.dtype());
  }
  return out / mx::astype(count, x.dtype());
}
