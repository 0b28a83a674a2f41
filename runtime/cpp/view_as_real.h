// torch.view_as_real: real and imaginary parts on a new last axis.
inline mx::array view_as_real(const mx::array& x) {
  return mx::stack({mx::real(x), mx::imag(x)}, -1);
}
