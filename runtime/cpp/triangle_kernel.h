// max(1 - |d|, 0): the kernel of linear interpolation.
inline mx::array triangle_kernel(const mx::array& d) {
  return mx::maximum(mx::array(1.0f) - mx::abs(d), mx::array(0.0f));
}
