// torch's pixel_shuffle: [..., H, W, C * factor**2] to [..., H * f, W * f, C].
inline mx::array pixel_shuffle(const mx::array& x, int factor) {
  int height = x.shape(-3);
  int width = x.shape(-2);
  int channels = x.shape(-1) / (factor * factor);
  auto out = mx::reshape(x, {-1, height, width, channels, factor, factor});
  out = mx::transpose(out, {0, 1, 4, 2, 5, 3});
  mx::Shape shape(x.shape().begin(), x.shape().end() - 3);
  for (int size : {height * factor, width * factor, channels}) {
    shape.push_back(size);
  }
  return mx::reshape(out, shape);
}
