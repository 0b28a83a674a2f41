#include <stdexcept>
#include <string>

#include "Weights.h"

// Throws std::runtime_error where the weights hold tensors that no part of the
// model asked for: they belong to another model.
inline void check_all_used(const Weights& weights) {
  auto names = weights.unused();
  if (names.empty()) {
    return;
  }
  std::string message = "the weights hold tensors that this model has not:";
  for (const auto& name : names) {
    message += " '" + name + "'";
  }
  throw std::runtime_error(message);
}
