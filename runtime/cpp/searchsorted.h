#include <bit>

// torch.searchsorted of values [..., M] in sequences [..., N] beside them:
// int64 places. In a single sequence, mx::searchsorted searches.
inline mx::array searchsorted(
    const mx::array& sorted_sequence,
    const mx::array& values,
    bool right = false) {
  int size = sorted_sequence.shape(-1);
  auto low = mx::zeros(values.shape(), mx::int64);
  auto high = low + size;
  int steps = std::bit_width(static_cast<unsigned>(size));
  for (int i = 0; i < steps; ++i) {
    auto middle = mx::right_shift(low + high, mx::array(1, mx::int64));
    auto at = mx::minimum(middle, mx::array(size - 1, mx::int64));
    auto pivot = mx::take_along_axis(sorted_sequence, at, -1);
    auto before = right ? pivot <= values : pivot < values;
    auto above = (low < high) & before;
    low = mx::where(above, middle + 1, low);
    high = mx::where(above, high, middle);
  }
  return low;
}
