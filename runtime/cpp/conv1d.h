// torch's conv1d over x [N, L, C] with weight [out, k, in].
inline mx::array conv1d(
    const mx::array& x,
    const mx::array& weight,
    int stride = 1,
    int padding = 0,
    int dilation = 1,
    int groups = 1) {
  return mx::conv1d(x, weight, stride, padding, dilation, groups);
}
