// The inverse of each matrix, in float32: MLX computes it on the CPU alone.
inline mx::array inverse(const mx::array& x) {
  auto single = mx::astype(x, mx::float32);
  auto out = mx::linalg::inv(single, mx::Device(mx::Device::cpu));
  return mx::astype(out, x.dtype());
}
