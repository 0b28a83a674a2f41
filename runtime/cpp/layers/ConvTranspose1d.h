#include <optional>
#include <string>

#include "Weights.h"
#include "conv_transpose1d.h"

// torch.nn.ConvTranspose1d over x [N, L, C].
class ConvTranspose1d {
 public:
  ConvTranspose1d(
      const Weights& weights,
      const std::string& name,
      int in_channels,
      int out_channels,
      int kernel_size,
      int stride = 1,
      int padding = 0,
      int dilation = 1,
      int output_padding = 0,
      bool bias = true)
      : weight_(weights.get(
            name + ".weight",
            {out_channels, kernel_size, in_channels})),
        bias_(weights.get_if(bias, name + ".bias", {out_channels})),
        stride_(stride),
        padding_(padding),
        dilation_(dilation),
        output_padding_(output_padding) {}

  mx::array operator()(const mx::array& x) const {
    auto y = nn::conv_transpose1d(
        x, weight_, stride_, padding_, dilation_, output_padding_);
    return bias_ ? y + *bias_ : y;
  }

  // The weights themselves, where the model reads them.
  const mx::array& weight() const {
    return weight_;
  }

  const mx::array& bias() const {
    return *bias_;
  }

 private:
  mx::array weight_;
  std::optional<mx::array> bias_;
  int stride_;
  int padding_;
  int dilation_;
  int output_padding_;
};
