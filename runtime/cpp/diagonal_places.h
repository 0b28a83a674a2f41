#include <algorithm>
#include <optional>
#include <vector>

// Places of `length` elements of a diagonal of the last two of `rank` axes.
inline std::vector<std::optional<mx::array>>
diagonal_places(int rank, int length, int offset) {
  std::vector<std::optional<mx::array>> places(rank - 2, std::nullopt);
  auto i = mx::arange(length);
  places.push_back(i + std::max(-offset, 0));
  places.push_back(i + std::max(offset, 0));
  return places;
}
