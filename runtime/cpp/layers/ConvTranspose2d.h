#include <optional>
#include <string>

#include "Size.h"
#include "Weights.h"
#include "conv_transpose2d.h"

// torch.nn.ConvTranspose2d over x [N, H, W, C].
class ConvTranspose2d {
 public:
  ConvTranspose2d(
      const Weights& weights,
      const std::string& name,
      int in_channels,
      int out_channels,
      Size<2> kernel_size,
      Size<2> stride = 1,
      Size<2> padding = 0,
      Size<2> dilation = 1,
      Size<2> output_padding = 0,
      bool bias = true)
      : weight_(weights.get(
            name + ".weight",
            {out_channels, kernel_size[0], kernel_size[1], in_channels})),
        bias_(weights.get_if(bias, name + ".bias", {out_channels})),
        stride_(stride),
        padding_(padding),
        dilation_(dilation),
        output_padding_(output_padding) {}

  mx::array operator()(const mx::array& x) const {
    auto y = nn::conv_transpose2d(
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
  Size<2> stride_;
  Size<2> padding_;
  Size<2> dilation_;
  Size<2> output_padding_;
};
