// ResNet in MLX, transpiled; see manifest.json.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "nn.h"

namespace res_net {

// The values of config.json, which the weights carry.
struct ModelArgs {
  int num_channels;
  int conv1_out_channels;
  int layer1_conv1_out_channels;
  int layer1_conv2_out_channels;
  int layer1_conv3_out_channels;
  int layer2_conv1_out_channels;
  int layer2_conv2_out_channels;
  int layer2_conv3_out_channels;
  int num_labels;

  static ModelArgs read(const nn::Weights& weights);
};

class FirstBottleneck {
 public:
  FirstBottleneck(
      const nn::Weights& weights,
      const std::string& prefix,
      int conv1_in_channels,
      int conv1_out_channels,
      int conv2_out_channels,
      int stride,
      int conv3_out_channels);
  mx::array operator()(const mx::array& input) const;

 private:
  nn::Conv2d conv1_;
  nn::BatchNorm bn1_;
  nn::Conv2d conv2_;
  nn::BatchNorm bn2_;
  nn::Conv2d conv3_;
  nn::BatchNorm bn3_;
  nn::Conv2d downsample_0_;
  nn::BatchNorm downsample_1_;
};

class Bottleneck {
 public:
  Bottleneck(
      const nn::Weights& weights,
      const std::string& prefix,
      int conv1_in_channels,
      int conv1_out_channels,
      int conv2_out_channels);
  mx::array operator()(const mx::array& h) const;

 private:
  nn::Conv2d conv1_;
  nn::BatchNorm bn1_;
  nn::Conv2d conv2_;
  nn::BatchNorm bn2_;
  nn::Conv2d conv3_;
  nn::BatchNorm bn3_;
};

class Model {
 public:
  // Reads weights.safetensors, or the folder that holds it. With
  // check_indices, every call looks at its integer inputs before they index.
  static Model load(const std::string& path, bool check_indices = true);

  // The model on arrays by name, as `operator()` has them in order.
  nn::Tensors run(const nn::Tensors& inputs) const;
  static std::vector<std::string> input_names();

  Model(
      const nn::Weights& weights,
      const ModelArgs& args,
      bool check_indices = true);
  mx::array operator()(const mx::array& x) const;

 private:
  int num_channels_;
  nn::Conv2d conv1_;
  nn::BatchNorm bn1_;
  std::vector<std::variant<FirstBottleneck, Bottleneck>> layer1_;
  std::vector<std::variant<FirstBottleneck, Bottleneck>> layer2_;
  nn::Linear fc_;
  nn::MaxPool2d maxpool_;
  bool check_indices_;
};

} // namespace res_net
