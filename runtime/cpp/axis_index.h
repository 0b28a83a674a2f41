#include <optional>
#include <vector>

// What to index with so that `index` acts along one axis, as in torch.gather.
inline std::vector<std::optional<mx::array>> axis_index(
    const mx::array& index,
    int axis) {
  int rank = static_cast<int>(index.ndim());
  int at = axis < 0 ? axis + rank : axis;
  std::vector<std::optional<mx::array>> places;
  for (int i = 0; i < rank; ++i) {
    mx::Shape shape(rank, 1);
    shape[i] = -1;
    places.push_back(
        i == at ? index : mx::reshape(mx::arange(index.shape(i)), shape));
  }
  return places;
}
