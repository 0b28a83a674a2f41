#include <stdexcept>
#include <string>
#include <unordered_map>

// The input of that name. Throws std::invalid_argument if it is missing.
inline const mx::array& input(
    const std::unordered_map<std::string, mx::array>& inputs,
    const std::string& name) {
  auto it = inputs.find(name);
  if (it == inputs.end()) {
    throw std::invalid_argument("the input '" + name + "' is missing");
  }
  return it->second;
}
