#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "fft_norm.h"

// ifft over several axes, by default all or, with sizes s, the last ones.
inline mx::array ifftn(
    const mx::array& a,
    const std::optional<mx::Shape>& s = std::nullopt,
    const std::optional<std::vector<int>>& axes = std::nullopt,
    const std::string& norm = "backward") {
  auto kind = nn::fft_norm(norm);
  if (!s) {
    return axes ? mx::fft::ifftn(a, *axes, kind) : mx::fft::ifftn(a, kind);
  }
  std::vector<int> last(s->size());
  std::iota(last.begin(), last.end(), -static_cast<int>(s->size()));
  return mx::fft::ifftn(a, *s, axes.value_or(last), kind);
}
