#include <optional>
#include <string>

#include "fft_norm.h"

// Inverse of stft: complex [..., bins, frames] to [..., L].
inline mx::array istft(
    const mx::array& stft_matrix,
    std::optional<int> n_fft = std::nullopt,
    std::optional<int> hop_length = std::nullopt,
    std::optional<int> win_length = std::nullopt,
    const std::optional<mx::array>& window = std::nullopt,
    bool center = true,
    const std::string& norm = "backward",
    std::optional<bool> onesided = std::nullopt,
    std::optional<int> length = std::nullopt) {
  return mx::fft::istft(
      stft_matrix,
      n_fft,
      hop_length,
      win_length,
      window,
      center,
      nn::fft_norm(norm),
      onesided,
      length);
}
