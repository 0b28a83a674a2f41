#include <initializer_list>
#include <numeric>
#include <optional>
#include <vector>

// What to reduce over: an axis, a list of axes, or std::nullopt for all.
class Axes {
 public:
  Axes(std::nullopt_t = std::nullopt) {}
  Axes(int axis) : axes_(std::vector<int>{axis}) {}
  Axes(std::initializer_list<int> axes) : axes_(std::vector<int>(axes)) {}
  Axes(const std::vector<int>& axes) : axes_(axes) {}

  std::vector<int> of(const mx::array& x) const {
    if (axes_) {
      return *axes_;
    }
    std::vector<int> all(x.ndim());
    std::iota(all.begin(), all.end(), 0);
    return all;
  }

 private:
  std::optional<std::vector<int>> axes_;
};
