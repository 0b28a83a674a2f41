// torch.select_scatter: x with src in place of one row of an axis.
inline mx::array
select_scatter(const mx::array& x, const mx::array& src, int axis, int index) {
  int at = axis < 0 ? axis + static_cast<int>(x.ndim()) : axis;
  mx::Shape start(x.ndim(), 0);
  mx::Shape stop = x.shape();
  mx::Shape row = x.shape();
  start.at(at) = index < 0 ? index + x.shape(at) : index;
  stop[at] = start[at] + 1;
  row.erase(row.begin() + at);
  auto update = mx::broadcast_to(mx::astype(src, x.dtype()), row);
  return mx::slice_update(x, mx::expand_dims(update, at), start, stop);
}
