#include <optional>
#include <string>
#include <vector>

#include "fft_norm.h"

// rfft over several axes, by default all; sizes s need their axes.
inline mx::array rfftn(
    const mx::array& a,
    const std::optional<mx::Shape>& s = std::nullopt,
    const std::optional<std::vector<int>>& axes = std::nullopt,
    const std::string& norm = "backward") {
  auto kind = nn::fft_norm(norm);
  if (s) {
    return mx::fft::rfftn(a, *s, axes.value(), kind);
  }
  return axes ? mx::fft::rfftn(a, *axes, kind) : mx::fft::rfftn(a, kind);
}
