#include <vector>

#include "Scalar.h"

// Keys' cubic convolution for the elements at -1, 0, 1, 2 of a point at t.
inline std::vector<mx::array> cubic_weights(
    const mx::array& t,
    double a = -0.75) {
  auto near = [a](const mx::array& d) {
    return (Scalar(a + 2) * d - Scalar(a + 3)) * d * d + Scalar(1);
  };
  auto far = [a](const mx::array& d) {
    auto inner = (Scalar(a) * d - Scalar(5 * a)) * d + Scalar(8 * a);
    return inner * d - Scalar(4 * a);
  };
  return {far(t + Scalar(1)), near(t), near(Scalar(1) - t), far(Scalar(2) - t)};
}
