#include <string>
#include <utility>
#include <vector>

#include "Scalar.h"
#include "cubic_weights.h"
#include "grid_position.h"

// The elements that grid_sample reads around each position of an axis of n
// elements, with their weights.
inline std::vector<std::pair<mx::array, mx::array>> grid_taps(
    const mx::array& position,
    int n,
    const std::string& mode,
    const std::string& padding_mode,
    bool align_corners) {
  std::vector<std::pair<mx::array, mx::array>> taps;
  if (mode == "bicubic") {
    auto low = mx::floor(position);
    auto weights = nn::cubic_weights(position - low);
    for (int k = -1; k <= 2; ++k) {
      auto at = low + Scalar(k);
      taps.emplace_back(
          nn::grid_position(at, n, padding_mode, align_corners),
          weights[k + 1]);
    }
    return taps;
  }
  auto at = nn::grid_position(position, n, padding_mode, align_corners);
  if (mode == "nearest") {
    taps.emplace_back(mx::round(at), mx::ones_like(at));
    return taps;
  }
  auto low = mx::floor(at);
  auto high = low + Scalar(1);
  taps.emplace_back(low, high - at);
  taps.emplace_back(high, at - low);
  return taps;
}
