#include <cstddef>

#include "to_parts.h"

// The N elements of an axis of x, which goes away.
template <size_t N>
Parts<N> unstack(const mx::array& x, int axis) {
  return nn::to_parts<N>(mx::unstack(x, axis));
}
