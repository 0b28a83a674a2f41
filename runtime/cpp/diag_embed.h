#include <cstdlib>

#include "axes_last.h"
#include "diagonal_places.h"
#include "update_at.h"

// torch.diag_embed: matrices with x [..., n] on a diagonal.
inline mx::array
diag_embed(const mx::array& x, int offset = 0, int axis1 = -2, int axis2 = -1) {
  int size = x.shape(-1) + std::abs(offset);
  mx::Shape shape = x.shape();
  shape.back() = size;
  shape.push_back(size);
  int rank = static_cast<int>(shape.size());
  auto places = nn::diagonal_places(rank, x.shape(-1), offset);
  auto out = nn::update_at(mx::zeros(shape, x.dtype()), places, x, "set");
  return mx::transpose(out, axes_last(rank, axis1, axis2).back);
}
