// torch's glu: the first half along the axis, gated by the second.
inline mx::array glu(const mx::array& x, int axis = -1) {
  auto halves = mx::split(x, 2, axis);
  return halves[0] * mx::sigmoid(halves[1]);
}
