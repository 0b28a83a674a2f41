#include "Scalar.h"
#include "update_at.h"

// torch.histc: counts in equal bins from min to max, else from x's own range.
inline mx::array
histc(const mx::array& x, int bins = 100, float min = 0, float max = 0) {
  auto values = mx::flatten(x);
  bool own = min == max;
  auto low = own ? mx::min(values) : Scalar(min).like(values);
  auto high = own ? mx::max(values) : Scalar(max).like(values);
  auto inside = (values >= low) & (values <= high);
  auto start = own ? low : mx::array(min);
  auto width = own ? high - low : mx::array(max - min);
  auto steps = mx::arange(bins + 1) / Scalar(bins);
  auto edges = start + width * steps;
  auto place = mx::searchsorted(edges, values, "right");
  place = mx::astype(place, mx::int32) - 1;
  place = mx::clip(place, mx::array(0), mx::array(bins - 1));
  auto counts = mx::zeros({bins}, x.dtype());
  return nn::update_at(counts, {place}, mx::astype(inside, x.dtype()), "add");
}
