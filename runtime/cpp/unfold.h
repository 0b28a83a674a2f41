// torch.Tensor.unfold: the windows along an axis, elements on a new last axis.
inline mx::array unfold(const mx::array& x, int axis, int size, int step) {
  int at = axis < 0 ? axis + static_cast<int>(x.ndim()) : axis;
  auto rows = mx::moveaxis(x, at, -1);
  int length = rows.shape(-1);
  int count = (length - size) / step + 1;
  mx::Shape shape = rows.shape();
  shape.back() = count;
  shape.push_back(size);
  int lead = 1;
  for (size_t i = 0; i + 1 < rows.ndim(); ++i) {
    lead *= rows.shape(static_cast<int>(i));
  }
  auto windows = mx::as_strided(
      rows, mx::Shape{lead, count, size}, mx::Strides{length, step, 1}, 0);
  return mx::moveaxis(mx::reshape(windows, shape), -2, at);
}
