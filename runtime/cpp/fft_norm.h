#include <stdexcept>
#include <string>

// The norm of a Fourier transform by its name.
inline mx::fft::FFTNorm fft_norm(const std::string& norm) {
  if (norm == "backward") {
    return mx::fft::FFTNorm::Backward;
  }
  if (norm == "ortho") {
    return mx::fft::FFTNorm::Ortho;
  }
  if (norm == "forward") {
    return mx::fft::FFTNorm::Forward;
  }
  throw std::invalid_argument("fft: unknown norm \"" + norm + "\"");
}
