#include <tuple>

#include "Scalar.h"

// torch.sort, always stable: the values and their int64 places; NaN is largest.
inline std::tuple<mx::array, mx::array>
sort(const mx::array& x, int axis = -1, bool descending = false) {
  auto input = descending ? mx::flip(x, axis) : x;
  auto places = mx::astype(mx::argsort(input, axis), mx::int64);
  if (descending) {
    places = Scalar(x.shape(axis) - 1) - mx::flip(places, axis);
  }
  return {mx::take_along_axis(x, places, axis), places};
}
