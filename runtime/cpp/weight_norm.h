#include <optional>
#include <vector>

// torch._weight_norm: v scaled to the norm g, along all axes but one or all.
inline mx::array weight_norm(
    const mx::array& v,
    const mx::array& g,
    std::optional<int> axis = 0) {
  int rank = v.ndim();
  std::vector<int> axes;
  for (int a = 0; a < rank; ++a) {
    if (!axis || a != (*axis + rank) % rank) {
      axes.push_back(a);
    }
  }
  return v * (g / mx::sqrt(mx::sum(v * v, axes, /* keepdims = */ true)));
}
