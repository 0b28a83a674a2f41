// torch's silu.
inline mx::array silu(const mx::array& x) {
  return x * mx::sigmoid(x);
}
