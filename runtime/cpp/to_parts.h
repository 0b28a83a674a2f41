#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// The N arrays of a list, for structured bindings.
template <size_t N>
std::array<mx::array, N> to_parts(const std::vector<mx::array>& parts) {
  if (parts.size() != N) {
    throw std::invalid_argument(
        "expected " + std::to_string(N) + " parts, got " +
        std::to_string(parts.size()));
  }
  return [&]<size_t... I>(std::index_sequence<I...>) {
    return std::array<mx::array, N>{parts[I]...};
  }(std::make_index_sequence<N>());
}
