// torch.masked_scatter: x where the mask is off, else the next element of src.
inline mx::array masked_scatter(
    const mx::array& x,
    const mx::array& mask,
    const mx::array& src) {
  auto both = mx::broadcast_arrays({mask, x});
  auto flat = mx::astype(mx::flatten(both[0]), mx::int32);
  auto order = mx::reshape(mx::cumsum(flat, 0), both[0].shape()) - 1;
  auto last = mx::array(static_cast<int>(src.size()) - 1);
  auto places = mx::clip(order, mx::array(0), last);
  return mx::where(both[0], mx::take(mx::flatten(src), places), both[1]);
}
