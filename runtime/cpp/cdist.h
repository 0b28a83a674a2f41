#include <algorithm>

#include "Scalar.h"
#include "vector_norm.h"

// torch.cdist of a [..., P, M] and b [..., R, M]: [..., P, R]. Euclidean
// distances of more than 25 rows go by a product, as in torch, unless exact.
inline mx::array
cdist(const mx::array& a, const mx::array& b, float p = 2, bool exact = false) {
  if (p == 2 && !exact && std::max(a.shape(-2), b.shape(-2)) > 25) {
    auto squares = mx::expand_dims(mx::sum(a * a, -1), -1) +
        mx::expand_dims(mx::sum(b * b, -1), -2);
    auto product = mx::matmul(Scalar(2) * a, mx::swapaxes(b, -1, -2));
    auto distances = squares - product;
    return mx::sqrt(mx::maximum(distances, Scalar(0).like(distances)));
  }
  auto difference = mx::expand_dims(a, -2) - mx::expand_dims(b, -3);
  return nn::vector_norm(difference, p, {-1});
}
