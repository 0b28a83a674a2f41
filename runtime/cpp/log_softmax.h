// torch's log_softmax. The maximum goes first: a large one would swallow the
// normalizer in x - logsumexp(x).
inline mx::array log_softmax(const mx::array& x, int axis = -1) {
  auto y = x - mx::max(x, axis, /* keepdims = */ true);
  return y - mx::logsumexp(y, axis, /* keepdims = */ true);
}
