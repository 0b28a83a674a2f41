// Whether the only element is true: waits for the device.
inline bool holds(const mx::array& condition) {
  return mx::astype(condition, mx::bool_).item<bool>();
}
