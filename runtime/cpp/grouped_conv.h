#include <vector>

// A convolution by groups of channels, where mx:: has none: `conv(x, weight)`
// runs one of them.
template <typename Conv>
mx::array grouped_conv(
    const Conv& conv,
    const mx::array& x,
    const mx::array& weight,
    int groups) {
  auto inputs = mx::split(x, groups, -1);
  auto weights = mx::split(weight, groups, 0);
  std::vector<mx::array> outputs;
  for (int i = 0; i < groups; ++i) {
    outputs.push_back(conv(inputs[i], weights[i]));
  }
  return mx::concatenate(outputs, -1);
}
