// a / b rounded down, as Python's `//`; b > 0.
inline int floordiv(int a, int b) {
  return a / b - (a % b < 0 ? 1 : 0);
}
