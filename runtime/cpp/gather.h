// torch.gather: the other axes of x are cut to the index's, not broadcast.
inline mx::array gather(const mx::array& x, int axis, const mx::array& index) {
  mx::Shape stop = index.shape();
  int at = axis < 0 ? axis + static_cast<int>(x.ndim()) : axis;
  stop.at(at) = x.shape(at);
  auto kept = mx::slice(x, mx::Shape(x.ndim(), 0), stop);
  return mx::take_along_axis(kept, index, at);
}
