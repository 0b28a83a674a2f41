#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

// The elements of torch's adaptive pooling windows along an axis: [out, width].
// Short windows repeat their last element; the second array marks the others.
inline std::tuple<mx::array, mx::array> adaptive_windows(
    int size,
    int out_size) {
  int width = (size + out_size - 1) / out_size + 1;
  std::vector<int> index;
  std::vector<int> valid;
  for (int64_t i = 0; i < out_size; ++i) {
    int start = i * size / out_size;
    int stop = ((i + 1) * size + out_size - 1) / out_size;
    for (int place = start; place < start + width; ++place) {
      index.push_back(std::min(place, stop - 1));
      valid.push_back(place < stop);
    }
  }
  mx::Shape shape = {out_size, width};
  return {
      mx::array(index.begin(), shape),
      mx::array(valid.begin(), shape, mx::bool_)};
}
