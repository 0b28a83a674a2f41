#include "model.h"

#include <string>
#include <variant>
#include <vector>

namespace res_net {

ModelArgs ModelArgs::read(const nn::Weights& weights) {
  return {
      .num_channels = weights.integer("num_channels"),
      .conv1_out_channels = weights.integer("conv1_out_channels"),
      .layer1_conv1_out_channels = weights.integer("layer1_conv1_out_channels"),
      .layer1_conv2_out_channels = weights.integer("layer1_conv2_out_channels"),
      .layer1_conv3_out_channels = weights.integer("layer1_conv3_out_channels"),
      .layer2_conv1_out_channels = weights.integer("layer2_conv1_out_channels"),
      .layer2_conv2_out_channels = weights.integer("layer2_conv2_out_channels"),
      .layer2_conv3_out_channels = weights.integer("layer2_conv3_out_channels"),
      .num_labels = weights.integer("num_labels"),
  };
}

FirstBottleneck::FirstBottleneck(
    const nn::Weights& weights,
    const std::string& prefix,
    int conv1_in_channels,
    int conv1_out_channels,
    int conv2_out_channels,
    int stride,
    int conv3_out_channels)
    : conv1_(
          weights,
          prefix + "conv1",
          conv1_in_channels,
          conv1_out_channels,
          /* kernel_size = */ 1,
          /* stride = */ 1,
          /* padding = */ 0,
          /* dilation = */ 1,
          /* groups = */ 1,
          /* bias = */ false),
      bn1_(weights, prefix + "bn1", conv1_out_channels),
      conv2_(
          weights,
          prefix + "conv2",
          conv1_out_channels,
          conv2_out_channels,
          /* kernel_size = */ 3,
          stride,
          /* padding = */ 1,
          /* dilation = */ 1,
          /* groups = */ 1,
          /* bias = */ false),
      bn2_(weights, prefix + "bn2", conv2_out_channels),
      conv3_(
          weights,
          prefix + "conv3",
          conv2_out_channels,
          conv3_out_channels,
          /* kernel_size = */ 1,
          /* stride = */ 1,
          /* padding = */ 0,
          /* dilation = */ 1,
          /* groups = */ 1,
          /* bias = */ false),
      bn3_(weights, prefix + "bn3", conv3_out_channels),
      downsample_0_(
          weights,
          prefix + "downsample.0",
          conv1_in_channels,
          conv3_out_channels,
          /* kernel_size = */ 1,
          stride,
          /* padding = */ 0,
          /* dilation = */ 1,
          /* groups = */ 1,
          /* bias = */ false),
      downsample_1_(weights, prefix + "downsample.1", conv3_out_channels) {}

mx::array FirstBottleneck::operator()(const mx::array& input) const {
  auto h = bn2_(conv2_(nn::relu(bn1_(conv1_(input)))));
  auto out = downsample_1_(downsample_0_(input));
  return nn::fuse(
      [](const auto& bn3, const auto& out) { return nn::relu(bn3 + out); },
      bn3_(conv3_(nn::relu(h))),
      out);
}

Bottleneck::Bottleneck(
    const nn::Weights& weights,
    const std::string& prefix,
    int conv1_in_channels,
    int conv1_out_channels,
    int conv2_out_channels)
    : conv1_(
          weights,
          prefix + "conv1",
          conv1_in_channels,
          conv1_out_channels,
          /* kernel_size = */ 1,
          /* stride = */ 1,
          /* padding = */ 0,
          /* dilation = */ 1,
          /* groups = */ 1,
          /* bias = */ false),
      bn1_(weights, prefix + "bn1", conv1_out_channels),
      conv2_(
          weights,
          prefix + "conv2",
          conv1_out_channels,
          conv2_out_channels,
          /* kernel_size = */ 3,
          /* stride = */ 1,
          /* padding = */ 1,
          /* dilation = */ 1,
          /* groups = */ 1,
          /* bias = */ false),
      bn2_(weights, prefix + "bn2", conv2_out_channels),
      conv3_(
          weights,
          prefix + "conv3",
          conv2_out_channels,
          conv1_in_channels,
          /* kernel_size = */ 1,
          /* stride = */ 1,
          /* padding = */ 0,
          /* dilation = */ 1,
          /* groups = */ 1,
          /* bias = */ false),
      bn3_(weights, prefix + "bn3", conv1_in_channels) {}

mx::array Bottleneck::operator()(const mx::array& h) const {
  auto out = bn2_(conv2_(nn::relu(bn1_(conv1_(h)))));
  return nn::fuse(
      [](const auto& bn3, const auto& h) { return nn::relu(bn3 + h); },
      bn3_(conv3_(nn::relu(out))),
      h);
}

Model::Model(
    const nn::Weights& weights, const ModelArgs& args, bool check_indices)
    : num_channels_(args.num_channels),
      conv1_(
          weights,
          "conv1",
          args.num_channels,
          args.conv1_out_channels,
          /* kernel_size = */ 7,
          /* stride = */ 2,
          /* padding = */ 3,
          /* dilation = */ 1,
          /* groups = */ 1,
          /* bias = */ false),
      bn1_(weights, "bn1", args.conv1_out_channels),
      fc_(weights, "fc", args.layer2_conv3_out_channels, args.num_labels),
      maxpool_(
          weights,
          "maxpool",
          /* kernel_size = */ 3,
          /* stride = */ 2,
          /* padding = */ 1),
      check_indices_(check_indices) {
  layer1_.emplace_back(FirstBottleneck(
      weights,
      "layer1.0.",
      args.conv1_out_channels,
      args.layer1_conv1_out_channels,
      args.layer1_conv2_out_channels,
      1,
      args.layer1_conv3_out_channels));
  layer1_.emplace_back(Bottleneck(
      weights,
      "layer1.1.",
      args.layer1_conv3_out_channels,
      args.layer1_conv1_out_channels,
      args.layer1_conv2_out_channels));
  layer2_.emplace_back(FirstBottleneck(
      weights,
      "layer2.0.",
      args.layer1_conv3_out_channels,
      args.layer2_conv1_out_channels,
      args.layer2_conv2_out_channels,
      2,
      args.layer2_conv3_out_channels));
  layer2_.emplace_back(Bottleneck(
      weights,
      "layer2.1.",
      args.layer2_conv3_out_channels,
      args.layer2_conv1_out_channels,
      args.layer2_conv2_out_channels));
}

mx::array Model::operator()(const mx::array& x) const {
  nn::check_input("x", x, {-1, num_channels_, -1, -1}, mx::float32);

  auto h = nn::relu(bn1_(conv1_(mx::transpose(x, {0, 2, 3, 1}))));
  h = maxpool_(h);
  for (const auto& layer : layer1_) {
    h = std::visit([&](const auto& part) { return part(h); }, layer);
  }
  for (const auto& layer : layer2_) {
    h = std::visit([&](const auto& part) { return part(h); }, layer);
  }
  h = mx::squeeze(mx::mean(h, {1, 2}, true), {1, 2});
  return fc_(h);
}

Model Model::load(const std::string& path, bool check_indices) {
  auto weights = nn::Weights::load(path);
  Model model(weights, ModelArgs::read(weights), check_indices);
  nn::check_all_used(weights);
  return model;
}

nn::Tensors Model::run(const nn::Tensors& inputs) const {
  nn::check_names(inputs, input_names());
  return {{"output", (*this)(nn::input(inputs, "x"))}};
}

std::vector<std::string> Model::input_names() {
  return {"x"};
}

} // namespace res_net
