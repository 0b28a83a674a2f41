#include <optional>
#include <string>

#include "Size.h"
#include "Weights.h"
#include "max_pool.h"

// torch.nn.MaxPool3d over x [N, D, H, W, C].
class MaxPool3d {
 public:
  MaxPool3d(
      const Weights&,
      const std::string&,
      Size<3> kernel_size,
      Size<3> stride,
      Size<3> padding = 0)
      : kernel_size_(kernel_size), stride_(stride), padding_(padding) {}

  // The stride is the kernel's size.
  MaxPool3d(
      const Weights& weights,
      const std::string& name,
      Size<3> kernel_size,
      std::nullopt_t = std::nullopt,
      Size<3> padding = 0)
      : MaxPool3d(weights, name, kernel_size, kernel_size, padding) {}

  mx::array operator()(const mx::array& x) const {
    return max_pool(x, kernel_size_, stride_, padding_);
  }

 private:
  Size<3> kernel_size_;
  Size<3> stride_;
  Size<3> padding_;
};
