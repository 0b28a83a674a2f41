#include <optional>
#include <string>

#include "fft_norm.h"

// Transform of a real array along an axis: its non-negative frequencies.
// n: the length of the transform, by default that of the axis.
inline mx::array rfft(
    const mx::array& a,
    std::optional<int> n = std::nullopt,
    int axis = -1,
    const std::string& norm = "backward") {
  auto kind = nn::fft_norm(norm);
  return n ? mx::fft::rfft(a, *n, axis, kind) : mx::fft::rfft(a, axis, kind);
}
