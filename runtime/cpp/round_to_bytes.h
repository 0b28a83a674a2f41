#include "Scalar.h"

// The nearest of 256 steps between the least and the largest element; 0 is one
// of them. What ONNX's DynamicQuantizeLinear keeps of x.
inline mx::array round_to_bytes(const mx::array& x) {
  auto zero = mx::array(0, x.dtype());
  auto last = mx::array(255, x.dtype());
  auto low = mx::minimum(mx::min(x), zero);
  auto high = mx::maximum(mx::max(x), zero);
  auto step = (high - low) / last;
  step = mx::where(step == zero, mx::array(1, x.dtype()), step);
  auto origin = mx::round(-low / step);
  auto steps = mx::clip(mx::round(x / step) + origin, zero, last);
  return (steps - origin) * step;
}
