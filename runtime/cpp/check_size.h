#include <optional>
#include <stdexcept>
#include <string>

// Throws std::invalid_argument unless low <= size <= high (std::nullopt: no
// upper bound).
inline void check_size(
    const std::string& name,
    int size,
    int low,
    std::optional<int> high) {
  if (size >= low && (!high || size <= *high)) {
    return;
  }
  std::string bound = high
      ? "between " + std::to_string(low) + " and " + std::to_string(*high)
      : "at least " + std::to_string(low);
  throw std::invalid_argument(
      name + " is " + std::to_string(size) + ", it must be " + bound);
}
