#include <optional>
#include <string>

#include "Size.h"
#include "Weights.h"
#include "avg_pool.h"

// torch.nn.AvgPool2d over x [N, H, W, C].
class AvgPool2d {
 public:
  AvgPool2d(
      const Weights&,
      const std::string&,
      Size<2> kernel_size,
      Size<2> stride,
      Size<2> padding = 0)
      : kernel_size_(kernel_size), stride_(stride), padding_(padding) {}

  // The stride is the kernel's size.
  AvgPool2d(
      const Weights& weights,
      const std::string& name,
      Size<2> kernel_size,
      std::nullopt_t = std::nullopt,
      Size<2> padding = 0)
      : AvgPool2d(weights, name, kernel_size, kernel_size, padding) {}

  mx::array operator()(const mx::array& x) const {
    return avg_pool(x, kernel_size_, stride_, padding_);
  }

 private:
  Size<2> kernel_size_;
  Size<2> stride_;
  Size<2> padding_;
};
