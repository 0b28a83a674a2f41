#include <algorithm>

// The first elements of each axis of x, as many as `shape` has.
inline mx::array prefix(const mx::array& x, const mx::Shape& shape) {
  mx::Shape stop = x.shape();
  for (size_t i = 0; i < std::min(shape.size(), stop.size()); ++i) {
    stop[i] = std::min(stop[i], shape[i]);
  }
  return mx::slice(x, mx::Shape(x.ndim(), 0), stop);
}
