#include <optional>
#include <string>

#include "Size.h"
#include "Weights.h"
#include "conv_transpose3d.h"

// torch.nn.ConvTranspose3d over x [N, D, H, W, C].
class ConvTranspose3d {
 public:
  ConvTranspose3d(
      const Weights& weights,
      const std::string& name,
      int in_channels,
      int out_channels,
      Size<3> kernel_size,
      Size<3> stride = 1,
      Size<3> padding = 0,
      Size<3> dilation = 1,
      Size<3> output_padding = 0,
      bool bias = true)
      : weight_(weights.get(
            name + ".weight",
            {out_channels,
             kernel_size[0],
             kernel_size[1],
             kernel_size[2],
             in_channels})),
        bias_(weights.get_if(bias, name + ".bias", {out_channels})),
        stride_(stride),
        padding_(padding),
        dilation_(dilation),
        output_padding_(output_padding) {}

  mx::array operator()(const mx::array& x) const {
    auto y = nn::conv_transpose3d(
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
  Size<3> stride_;
  Size<3> padding_;
  Size<3> dilation_;
  Size<3> output_padding_;
};
