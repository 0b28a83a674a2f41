#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "box_corners.h"
#include "box_overlap.h"

// The (batch, class, box) of the best boxes, int64. Waits for boxes and scores.
// A box goes if a better one of its class overlaps it by more than `overlap`,
// or if its score is not above `least`.
inline mx::array non_max_suppression(
    const mx::array& boxes,
    const mx::array& scores,
    int most,
    double overlap,
    std::optional<double> least = {},
    bool centered = false) {
  mx::array corners = mx::contiguous(
      mx::astype(nn::box_corners(boxes, centered), mx::float32));
  mx::array values = mx::contiguous(mx::astype(scores, mx::float32));
  mx::array order = mx::contiguous(
      mx::astype(mx::argsort(mx::negative(values), -1), mx::int32));
  mx::eval({corners, values, order});
  int groups = scores.shape(1), count = scores.shape(2);
  std::vector<int64_t> found;
  for (int at = 0; at < scores.shape(0) * groups; ++at) {
    const float* box = corners.data<float>() + at / groups * count * 4;
    const float* score = values.data<float>() + at * count;
    std::vector<int> kept;
    for (int place = 0; place < count; ++place) {
      int i = order.data<int>()[at * count + place];
      bool enough = static_cast<int>(kept.size()) >= most;
      if (enough || (least && score[i] <= *least)) {
        break;
      }
      bool free = std::all_of(kept.begin(), kept.end(), [&](int k) {
        return nn::box_overlap(box + 4 * i, box + 4 * k) <= overlap;
      });
      if (free) {
        kept.push_back(i);
      }
    }
    for (int i : kept) {
      found.insert(found.end(), {at / groups, at % groups, i});
    }
  }
  int rows = static_cast<int>(found.size()) / 3;
  return mx::array(found.data(), {rows, 3}, mx::int64);
}
