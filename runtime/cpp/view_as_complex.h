// torch.view_as_complex: the last axis holds real and imaginary parts.
inline mx::array view_as_complex(const mx::array& x) {
  return mx::squeeze(mx::view(x, mx::complex64), -1);
}
