#include <cstddef>
#include <vector>

#include "to_parts.h"

// N equal parts of x along an axis.
template <size_t N>
Parts<N> split(const mx::array& x, int axis) {
  return nn::to_parts<N>(mx::split(x, static_cast<int>(N), axis));
}

// The N parts of x between N - 1 indices along an axis.
template <size_t N>
Parts<N> split(const mx::array& x, const std::vector<int>& indices, int axis) {
  mx::Shape ends(indices.begin(), indices.end());
  return nn::to_parts<N>(mx::split(x, ends, axis));
}
