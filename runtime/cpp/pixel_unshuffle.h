// torch's pixel_unshuffle: [..., H * f, W * f, C] to [..., H, W, C *
// factor**2].
inline mx::array pixel_unshuffle(const mx::array& x, int factor) {
  int height = x.shape(-3) / factor;
  int width = x.shape(-2) / factor;
  int channels = x.shape(-1);
  auto out = mx::reshape(x, {-1, height, factor, width, factor, channels});
  out = mx::transpose(out, {0, 1, 3, 5, 2, 4});
  mx::Shape shape(x.shape().begin(), x.shape().end() - 3);
  for (int size : {height, width, channels * factor * factor}) {
    shape.push_back(size);
  }
  return mx::reshape(out, shape);
}
