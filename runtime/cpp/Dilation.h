#include <initializer_list>
#include <optional>
#include <vector>

// The dilation of a pooling window along each axis; std::nullopt is 1 for all.
class Dilation {
 public:
  Dilation(std::nullopt_t = std::nullopt) {}
  Dilation(std::initializer_list<int> values) : values_(values) {}
  Dilation(const std::vector<int>& values) : values_(values) {}

  int operator[](int axis) const {
    return values_.empty() ? 1 : values_.at(axis);
  }

 private:
  std::vector<int> values_;
};
