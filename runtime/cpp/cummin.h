#include <tuple>

// torch.cummin: the running values and the int64 place of each, the last among
// equals.
inline std::tuple<mx::array, mx::array> cummin(const mx::array& x, int axis) {
  auto values = mx::cummin(x, axis);
  mx::Shape shape(x.ndim(), 1);
  shape[axis < 0 ? axis + static_cast<int>(x.ndim()) : axis] = -1;
  auto steps = mx::reshape(mx::arange(x.shape(axis)), shape);
  auto found = (x == values) | mx::isnan(x);
  auto places = mx::cummax(mx::where(found, steps, mx::array(0)), axis);
  return {values, mx::astype(places, mx::int64)};
}
