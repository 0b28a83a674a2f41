#include <algorithm>
#include <optional>
#include <tuple>

#include "nonzero.h"
#include "slice.h"

// The distinct elements of x, or slices of an axis; int64 places of the first
// ones, which one each of x is, and how many there are. Waits for their number.
// Sorted, or in the order of the first ones.
inline std::tuple<mx::array, mx::array, mx::array, mx::array>
unique(const mx::array& x, std::optional<int> axis = {}, bool sort = true) {
  mx::array all = axis ? x : mx::flatten(x);
  int along = axis.value_or(0);
  int size = all.shape(along), one = std::min(size, 1);
  int width = size ? static_cast<int>(all.size()) / size : 0;
  mx::array rows = mx::reshape(mx::moveaxis(all, along, 0), {size, width});
  mx::array order = mx::arange(size);
  for (int column = width - 1; column >= 0; --column) {
    mx::array keys = mx::take(mx::take(rows, order, 0), column, 1);
    order = mx::take(order, mx::argsort(keys, 0), 0);
  }
  mx::array sorted = mx::take(rows, order, 0);
  mx::array same = mx::all(
      mx::equal(
          nn::slice(sorted, 0, 1, size), nn::slice(sorted, 0, 0, size - one)),
      1);
  mx::array fresh = mx::concatenate(
      {mx::ones({one}, mx::bool_), mx::logical_not(same)}, 0);
  mx::array starts = mx::take(nn::nonzero(fresh), 0, 0);
  int count = starts.shape(0);
  mx::array ends = mx::concatenate(
      {nn::slice(starts, 0, one, count), mx::full({one}, size, mx::int64)}, 0);
  mx::array first = mx::astype(mx::take(order, starts, 0), mx::int64);
  mx::array counts = mx::subtract(ends, starts);
  mx::array group = mx::subtract(
      mx::cumsum(mx::astype(fresh, mx::int64), 0), mx::array(1, mx::int64));
  mx::array inverse = mx::take(group, mx::argsort(order, 0), 0);
  if (!sort) {
    mx::array ranks = mx::argsort(first, 0);
    inverse = mx::astype(
        mx::take(mx::argsort(ranks, 0), inverse, 0), mx::int64);
    first = mx::take(first, ranks, 0);
    counts = mx::take(counts, ranks, 0);
  }
  return {mx::take(all, first, along), first, inverse, counts};
}
