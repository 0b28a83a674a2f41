#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "Scalar.h"
#include "crop.h"
#include "pad.h"

// nn::pad, where negative entries of pad_width cut as torch's pads do; torch's
// "replicate" is "edge" here.
inline mx::array pad_or_crop(
    const mx::array& x,
    const std::vector<std::pair<int, int>>& pad_width,
    const std::string& mode = "constant",
    float value = 0) {
  auto widths = pad_width;
  for (auto& [before, after] : widths) {
    before = std::max(0, before);
    after = std::max(0, after);
  }
  return nn::pad(nn::crop(x, pad_width), widths, mode, Scalar(value));
}
