#include <algorithm>
#include <utility>
#include <vector>

#include "crop.h"

// torch's pad in mode "circular", with (before, after) for each axis.
inline mx::array pad_circular(
    const mx::array& x,
    const std::vector<std::pair<int, int>>& pad_width) {
  auto out = nn::crop(x, pad_width);
  for (size_t i = 0; i < pad_width.size(); ++i) {
    auto [before, after] = pad_width[i];
    if (before > 0 || after > 0) {
      int axis = static_cast<int>(i);
      int n = out.shape(axis);
      auto places = mx::arange(-std::max(0, before), n + std::max(0, after));
      out = mx::take(out, mx::remainder(places, mx::array(n)), axis);
    }
  }
  return out;
}
