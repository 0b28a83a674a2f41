#include <optional>

// x [L, N, D] backwards; each row within its length, where there are lengths.
inline mx::array flip_time(
    const mx::array& x,
    const std::optional<mx::array>& lengths = std::nullopt) {
  if (!lengths) {
    return mx::flip(x, 0);
  }
  auto steps = mx::expand_dims(mx::arange(x.shape(0), lengths->dtype()), 1);
  auto last = *lengths - mx::array(1, lengths->dtype());
  auto index = mx::where(steps < *lengths, last - steps, steps);
  return mx::take_along_axis(x, mx::expand_dims(index, 2), 0);
}
