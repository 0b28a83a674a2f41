// x[..., index, ...] along an axis; a negative index counts from the end.
inline mx::array take(const mx::array& x, int index, int axis) {
  return mx::take(x, index < 0 ? index + x.shape(axis) : index, axis);
}
