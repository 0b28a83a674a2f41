#include <optional>
#include <string>

#include "fft_norm.h"

// Inverse of fft along an axis.
// n: the length of the transform, by default that of the axis.
inline mx::array ifft(
    const mx::array& a,
    std::optional<int> n = std::nullopt,
    int axis = -1,
    const std::string& norm = "backward") {
  auto kind = nn::fft_norm(norm);
  return n ? mx::fft::ifft(a, *n, axis, kind) : mx::fft::ifft(a, axis, kind);
}
