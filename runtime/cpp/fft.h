#include <optional>
#include <string>

#include "fft_norm.h"

// Discrete Fourier transform along an axis.
// n: the length of the transform, by default that of the axis.
inline mx::array fft(
    const mx::array& a,
    std::optional<int> n = std::nullopt,
    int axis = -1,
    const std::string& norm = "backward") {
  auto kind = nn::fft_norm(norm);
  return n ? mx::fft::fft(a, *n, axis, kind) : mx::fft::fft(a, axis, kind);
}
