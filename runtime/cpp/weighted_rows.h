#include <vector>

// The sum of weights[k] * x[index[k]] over k; the axis counts from the end.
inline mx::array weighted_rows(
    const mx::array& x,
    int axis,
    const std::vector<mx::array>& index,
    const std::vector<mx::array>& weights) {
  mx::Shape shape(-axis, 1);
  shape[0] = -1;
  auto row = [&](size_t k) {
    return mx::take(x, index[k], axis) * mx::reshape(weights[k], shape);
  };
  auto out = row(0);
  for (size_t k = 1; k < index.size(); ++k) {
    out = out + row(k);
  }
  return out;
}
