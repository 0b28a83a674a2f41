#include <vector>

#include "slice.h"

// Where x is not 0: a row of int64 indices for each axis, in order. Waits for
// the number.
inline mx::array nonzero(const mx::array& x) {
  mx::array flat = mx::reshape(
      mx::not_equal(x, mx::zeros({}, x.dtype())), {static_cast<int>(x.size())});
  int count = mx::sum(mx::astype(flat, mx::int32)).item<int>();
  mx::array rest = mx::astype(
      nn::slice(mx::argsort(mx::logical_not(flat), -1), 0, 0, count),
      mx::int64);
  std::vector<mx::array> places;
  for (int axis = static_cast<int>(x.ndim()) - 1; axis >= 0; --axis) {
    mx::array size = mx::array(x.shape(axis), mx::int64);
    places.insert(places.begin(), mx::remainder(rest, size));
    rest = mx::floor_divide(rest, size);
  }
  return mx::stack(places, 0);
}
