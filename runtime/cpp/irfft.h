#include <optional>
#include <string>

#include "fft_norm.h"

// Inverse of rfft along an axis.
// n: the length of the transform, by default that of the axis less one, twice.
inline mx::array irfft(
    const mx::array& a,
    std::optional<int> n = std::nullopt,
    int axis = -1,
    const std::string& norm = "backward") {
  auto kind = nn::fft_norm(norm);
  return n ? mx::fft::irfft(a, *n, axis, kind) : mx::fft::irfft(a, axis, kind);
}
