// How many windows torch's pooling has along an axis. With ceil_mode the last
// may end outside, if it does not start in the end padding.
inline int window_count(
    int size,
    int kernel,
    int stride,
    int padding,
    int dilation,
    bool ceil_mode) {
  int room = size + 2 * padding - dilation * (kernel - 1) - 1;
  room += ceil_mode ? stride - 1 : 0;
  if (room < 0) {
    return 0;
  }
  int count = room / stride + 1;
  return (count - 1) * stride >= size + padding ? count - 1 : count;
}
