#include <tuple>

#include "slice.h"
#include "sort.h"

// torch.kthvalue: the k-th smallest value, counted from 1, and its int64 place.
inline std::tuple<mx::array, mx::array>
kthvalue(const mx::array& x, int k, int axis = -1, bool keepdims = false) {
  auto [values, places] = nn::sort(x, axis);
  auto value = nn::slice(values, axis, k - 1, k);
  auto place = nn::slice(places, axis, k - 1, k);
  if (keepdims) {
    return {value, place};
  }
  return {mx::squeeze(value, axis), mx::squeeze(place, axis)};
}
