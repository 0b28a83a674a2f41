#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

// A tuple of N arrays.
template <size_t N>
using Parts =
    decltype(std::tuple_cat(std::declval<std::array<mx::array, N>>()));

template <size_t... I>
Parts<sizeof...(I)> to_parts(
    const std::vector<mx::array>& parts,
    std::index_sequence<I...>) {
  return {parts[I]...};
}

// N parts that can be taken apart: auto [a, b] = to_parts<2>(parts).
template <size_t N>
Parts<N> to_parts(const std::vector<mx::array>& parts) {
  if (parts.size() != N) {
    throw std::invalid_argument(
        "expected " + std::to_string(N) + " parts, got " +
        std::to_string(parts.size()));
  }
  return nn::to_parts(parts, std::make_index_sequence<N>());
}
