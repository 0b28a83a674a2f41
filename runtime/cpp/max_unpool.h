// torch's max_unpool1d/2d/3d over x [N, *spatial, C], from max_pool's indices.
inline mx::array max_unpool(
    const mx::array& x,
    const mx::array& indices,
    const mx::Shape& output_size) {
  int N = x.shape(0);
  int C = x.shape(-1);
  mx::Shape shape = {N};
  int count = 1;
  for (int size : output_size) {
    shape.push_back(size);
    count *= size;
  }
  shape.push_back(C);
  auto out = mx::put_along_axis(
      mx::zeros({N, count, C}, x.dtype()),
      mx::reshape(indices, {N, -1, C}),
      mx::reshape(x, {N, -1, C}),
      1);
  return mx::reshape(out, shape);
}
