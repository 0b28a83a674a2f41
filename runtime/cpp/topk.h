#include <optional>
#include <tuple>

#include "slice.h"
#include "sort.h"

// torch.topk, always sorted: the k first values and their int64 places, ties in
// order.
inline std::tuple<mx::array, mx::array>
topk(const mx::array& x, int k, int axis = -1, bool largest = true) {
  auto [values, places] = nn::sort(x, axis, largest);
  return {
      nn::slice(values, axis, std::nullopt, k),
      nn::slice(places, axis, std::nullopt, k)};
}
