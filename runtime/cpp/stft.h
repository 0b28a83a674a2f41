#include <optional>
#include <string>

#include "fft_norm.h"

// Short-time Fourier transform: [..., L] to complex [..., bins, frames].
inline mx::array stft(
    const mx::array& x,
    int n_fft = 2048,
    std::optional<int> hop_length = std::nullopt,
    std::optional<int> win_length = std::nullopt,
    const std::optional<mx::array>& window = std::nullopt,
    bool center = true,
    const std::string& pad_mode = "reflect",
    const std::string& norm = "backward",
    std::optional<bool> onesided = std::nullopt) {
  return mx::fft::stft(
      x,
      n_fft,
      hop_length,
      win_length,
      window,
      center,
      pad_mode,
      nn::fft_norm(norm),
      onesided);
}
