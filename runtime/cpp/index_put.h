#include <algorithm>
#include <optional>
#include <vector>

#include "Scalar.h"
#include "update_at.h"

// torch.index_put: x with values at x[i, :, j] (std::nullopt: a whole axis), or
// added there. A boolean mask must be the only index.
inline mx::array index_put(
    const mx::array& x,
    const std::vector<std::optional<mx::array>>& indices,
    const mx::array& values,
    bool accumulate = false) {
  if (indices.empty() || !indices[0] || indices[0]->dtype() != mx::bool_) {
    return nn::update_at(x, indices, values, accumulate ? "add" : "set");
  }
  const mx::array& mask = *indices[0];
  auto base = accumulate ? mx::zeros_like(x) : x;
  auto updates = mx::astype(values, x.dtype());
  size_t rest = x.ndim() - mask.ndim(); // axes that the mask does not have
  auto out = base;
  if (updates.ndim() <= rest || updates.size() == 1) { // the same everywhere
    mx::Shape shape = mask.shape();
    shape.resize(x.ndim(), 1);
    updates = updates.size() == 1 ? mx::reshape(updates, {}) : updates;
    out = mx::where(mx::reshape(mask, shape), updates, base);
  } else {
    mx::Shape shape = updates.shape();
    std::copy(x.shape().end() - rest, x.shape().end(), shape.end() - rest);
    out = mx::masked_scatter(base, mask, mx::broadcast_to(updates, shape));
  }
  return accumulate ? x + out : out;
}

inline mx::array index_put(
    const mx::array& x,
    const std::vector<std::optional<mx::array>>& indices,
    Scalar values,
    bool accumulate = false) {
  return nn::index_put(x, indices, values.like(x), accumulate);
}
