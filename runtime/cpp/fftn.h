#include <optional>
#include <string>
#include <vector>

#include "fft_norm.h"

// fft over several axes, by default all; sizes s need their axes.
inline mx::array fftn(
    const mx::array& a,
    const std::optional<mx::Shape>& s = std::nullopt,
    const std::optional<std::vector<int>>& axes = std::nullopt,
    const std::string& norm = "backward") {
  auto kind = nn::fft_norm(norm);
  if (s) {
    return mx::fft::fftn(a, *s, axes.value(), kind);
  }
  return axes ? mx::fft::fftn(a, *axes, kind) : mx::fft::fftn(a, kind);
}
