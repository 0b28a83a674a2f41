#include <optional>
#include <stdexcept>
#include <vector>

// NumPy's indexing x[i, :, j] taken apart: the index arrays, broadcast
// together, their axes, and the shape of the result. Its axes that come from
// the indices start at `at`: in place if they are adjacent, else at 0.
struct index_places {
  std::vector<mx::array> indices;
  std::vector<int> axes;
  mx::Shape shape;
  int at = 0;

  index_places(
      const mx::array& x,
      const std::vector<std::optional<mx::array>>& places) {
    if (places.size() > x.ndim()) {
      throw std::invalid_argument("index: more indices than axes");
    }
    for (size_t axis = 0; axis < places.size(); ++axis) {
      if (places[axis]) {
        indices.push_back(*places[axis]);
        axes.push_back(static_cast<int>(axis));
      }
    }
    if (axes.empty()) {
      throw std::invalid_argument("index: no index array");
    }
    indices = mx::broadcast_arrays(indices);
    int count = static_cast<int>(axes.size());
    at = axes.back() - axes.front() + 1 == count ? axes.front() : 0;
    for (int axis = 0; axis < static_cast<int>(x.ndim()); ++axis) {
      if (axis >= static_cast<int>(places.size()) || !places[axis]) {
        shape.push_back(x.shape(axis));
      }
    }
    const mx::Shape& lead = indices[0].shape();
    shape.insert(shape.begin() + at, lead.begin(), lead.end());
  }

  // The order of axes that moves those of the indices from `at` to the front.
  std::vector<int> indices_first() const {
    int rank = static_cast<int>(indices[0].ndim());
    std::vector<int> order;
    for (int i = 0; i < rank; ++i) {
      order.push_back(at + i);
    }
    for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
      if (i < at || i >= at + rank) {
        order.push_back(i);
      }
    }
    return order;
  }
};
