#include <optional>
#include <string>

#include "Weights.h"
#include "conv1d.h"

// torch.nn.Conv1d over x [N, L, C].
class Conv1d {
 public:
  Conv1d(
      const Weights& weights,
      const std::string& name,
      int in_channels,
      int out_channels,
      int kernel_size,
      int stride = 1,
      int padding = 0,
      int dilation = 1,
      int groups = 1,
      bool bias = true)
      : weight_(weights.get(
            name + ".weight",
            {out_channels, kernel_size, in_channels / groups})),
        bias_(weights.get_if(bias, name + ".bias", {out_channels})),
        stride_(stride),
        padding_(padding),
        dilation_(dilation),
        groups_(groups) {}

  mx::array operator()(const mx::array& x) const {
    auto y = nn::conv1d(x, weight_, stride_, padding_, dilation_, groups_);
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
  int groups_;
};
