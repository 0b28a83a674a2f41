#include <algorithm>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

// Throws std::invalid_argument unless the inputs are exactly the named ones.
inline void check_names(
    const std::unordered_map<std::string, mx::array>& inputs,
    const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (inputs.count(name) == 0) {
      throw std::invalid_argument("the input '" + name + "' is missing");
    }
  }
  for (const auto& [name, value] : inputs) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw std::invalid_argument("the model has no input '" + name + "'");
    }
  }
}
