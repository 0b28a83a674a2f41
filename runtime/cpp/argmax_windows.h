#include <tuple>
#include <vector>

// The first maximum of each window and its flat int64 index over the spatial
// axes. x: [N, *spatial, C]; windows[d]: [kernel, count], what the windows
// along axis d hold.
inline std::tuple<mx::array, mx::array> argmax_windows(
    const mx::array& x,
    const std::vector<mx::array>& windows) {
  int rank = windows.size();
  mx::Shape shape(rank + 1, 1);
  int count = 1;
  for (int i = 0; i < rank; ++i) {
    shape[i] = x.shape(i - rank - 1);
    count *= shape[i];
  }
  auto out = x;
  auto index =
      mx::broadcast_to(mx::reshape(mx::arange(count), shape), x.shape());
  for (int i = rank - 1; i >= 0; --i) {
    int axis = i - rank - 1;
    auto elements = mx::unstack(windows[i], 0);
    auto values = mx::take(out, elements[0], axis);
    auto places = mx::take(index, elements[0], axis);
    for (size_t k = 1; k < elements.size(); ++k) {
      auto value = mx::take(out, elements[k], axis);
      auto larger = (value > values) | mx::isnan(value);
      values = mx::where(larger, value, values);
      places = mx::where(larger, mx::take(index, elements[k], axis), places);
    }
    out = values;
    index = places;
  }
  return {out, mx::astype(index, mx::int64)};
}
