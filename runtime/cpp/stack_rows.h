#include <vector>

// The rows on a new first axis; without rows, an array that holds none of that
// shape.
inline mx::array stack_rows(
    const std::vector<mx::array>& rows,
    const mx::Shape& shape,
    mx::Dtype dtype) {
  if (!rows.empty()) {
    return mx::stack(rows, 0);
  }
  mx::Shape none{0};
  none.insert(none.end(), shape.begin(), shape.end());
  return mx::zeros(none, dtype);
}
