// One GRU step from its pre-activations [..., 3 * H] in torch's order r, z, n.
// The reset gate multiplies the recurrent part of n with its bias, as in torch.
inline mx::array gru_gates(
    const mx::array& x_gates,
    const mx::array& h_gates,
    const mx::array& h) {
  mx::Shape at = {2 * h.shape(-1)};
  auto x_parts = mx::split(x_gates, at, -1);
  auto h_parts = mx::split(h_gates, at, -1);
  auto rz = mx::split(mx::sigmoid(x_parts[0] + h_parts[0]), 2, -1);
  auto n = mx::tanh(x_parts[1] + rz[0] * h_parts[1]);
  return n + rz[1] * (h - n);
}
