#include <array>
#include <vector>

// For each row of a kernel, the rows {start, stop, step} of a padded axis that
// it meets.
inline std::vector<std::array<int, 3>>
patch_slices(int size, int kernel, int dilation, int padding, int stride) {
  int last = size + 2 * padding - dilation * (kernel - 1);
  std::vector<std::array<int, 3>> rows;
  for (int i = 0; i < kernel; ++i) {
    rows.push_back({i * dilation, i * dilation + last, stride});
  }
  return rows;
}
