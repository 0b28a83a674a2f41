#include <algorithm>
#include <utility>
#include <vector>

// x cut by the negative entries of a pad_width, which torch's pads do first.
inline mx::array crop(
    const mx::array& x,
    const std::vector<std::pair<int, int>>& pad_width) {
  mx::Shape start(x.ndim(), 0);
  mx::Shape stop = x.shape();
  for (size_t i = 0; i < pad_width.size(); ++i) {
    start[i] = std::max(0, -pad_width[i].first);
    stop[i] = std::max(stop[i] + std::min(0, pad_width[i].second), 0);
  }
  return mx::slice(x, start, stop);
}
