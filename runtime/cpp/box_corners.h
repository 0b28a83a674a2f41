#include <optional>

#include "slice.h"

// The lower and the upper corner [..., 4] of boxes given by two opposite
// corners, or by center and size.
inline mx::array box_corners(const mx::array& boxes, bool centered = false) {
  int last = static_cast<int>(boxes.ndim()) - 1;
  mx::array a = nn::slice(boxes, last, 0, 2);
  mx::array b = nn::slice(boxes, last, 2, 4);
  if (centered) {
    mx::array half = mx::divide(b, mx::array(2.0f, b.dtype()));
    mx::array center = a;
    a = mx::subtract(center, half);
    b = mx::add(center, half);
  }
  return mx::concatenate({mx::minimum(a, b), mx::maximum(a, b)}, last);
}
