#include <initializer_list>
#include <optional>
#include <vector>

// The scale_factor of each spatial axis that torch's interpolate was given, or
// none. Braces of numbers and std::nullopt, or std::nullopt alone, make it.
class Scales {
 public:
  Scales(std::nullopt_t = std::nullopt) {}
  Scales(std::initializer_list<std::optional<double>> factors)
      : factors_(factors) {}

  // The factor of an axis that counts from the end, before the channels.
  std::optional<double> of(int axis) const {
    if (factors_.empty()) {
      return std::nullopt;
    }
    return factors_.at(factors_.size() + axis + 1);
  }

 private:
  std::vector<std::optional<double>> factors_;
};
