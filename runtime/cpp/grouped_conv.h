#include <vector>

#include "Size.h"

// nn::conv3d by groups of channels: mx::conv3d has none.
inline mx::array grouped_conv(
    mx::array (*conv)(
        const mx::array&,
        const mx::array&,
        Size<3>,
        Size<3>,
        Size<3>,
        int),
    const mx::array& x,
    const mx::array& weight,
    int groups,
    Size<3> stride = 1,
    Size<3> padding = 0,
    Size<3> dilation = 1) {
  auto inputs = mx::split(x, groups, -1);
  auto weights = mx::split(weight, groups, 0);
  std::vector<mx::array> outputs;
  for (int i = 0; i < groups; ++i) {
    outputs.push_back(
        conv(inputs[i], weights[i], stride, padding, dilation, 1));
  }
  return mx::concatenate(outputs, -1);
}

// nn::conv_transpose3d by groups of channels.
inline mx::array grouped_conv(
    mx::array (*conv)(
        const mx::array&,
        const mx::array&,
        Size<3>,
        Size<3>,
        Size<3>,
        Size<3>,
        int),
    const mx::array& x,
    const mx::array& weight,
    int groups,
    Size<3> stride = 1,
    Size<3> padding = 0,
    Size<3> dilation = 1,
    Size<3> output_padding = 0) {
  auto inputs = mx::split(x, groups, -1);
  auto weights = mx::split(weight, groups, 0);
  std::vector<mx::array> outputs;
  for (int i = 0; i < groups; ++i) {
    outputs.push_back(conv(
        inputs[i], weights[i], stride, padding, dilation, output_padding, 1));
  }
  return mx::concatenate(outputs, -1);
}
