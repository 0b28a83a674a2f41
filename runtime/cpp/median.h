#include <tuple>

#include "sort.h"

// torch.median along an axis: the lower middle value, or NaN if there is one,
// and its int64 place.
inline std::tuple<mx::array, mx::array>
median(const mx::array& x, int axis = -1, bool keepdims = false) {
  int size = x.shape(axis);
  auto nans = mx::sum(mx::isnan(x), axis, /* keepdims = */ true);
  auto middle = mx::array((size - 1) / 2);
  auto at = mx::where(nans > 0, size - nans, middle);
  auto [values, places] = nn::sort(x, axis);
  auto value = mx::take_along_axis(values, at, axis);
  auto place = mx::take_along_axis(places, at, axis);
  if (keepdims) {
    return {value, place};
  }
  return {mx::squeeze(value, axis), mx::squeeze(place, axis)};
}
