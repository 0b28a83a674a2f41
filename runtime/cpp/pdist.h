#include <optional>
#include <vector>

#include "slice.h"
#include "vector_norm.h"

// torch.pdist: distances of all pairs of rows i < j, in the order of i, then j.
inline mx::array pdist(const mx::array& x, float p = 2) {
  std::vector<mx::array> parts;
  for (int i = 0; i + 1 < x.shape(0); ++i) {
    auto rest = nn::slice(x, 0, i + 1, std::nullopt);
    auto difference = mx::take(x, i, 0) - rest;
    parts.push_back(nn::vector_norm(difference, p, {-1}));
  }
  return mx::concatenate(parts, 0);
}
