#include <optional>
#include <string>

#include "Size.h"
#include "Weights.h"
#include "avg_pool.h"

// torch.nn.AvgPool3d over x [N, D, H, W, C].
class AvgPool3d {
 public:
  AvgPool3d(
      const Weights&,
      const std::string&,
      Size<3> kernel_size,
      const std::optional<Size<3>>& stride = std::nullopt,
      Size<3> padding = 0)
      : kernel_size_(kernel_size),
        stride_(stride.value_or(kernel_size)),
        padding_(padding) {}

  mx::array operator()(const mx::array& x) const {
    return avg_pool(x, kernel_size_, stride_, padding_);
  }

 private:
  Size<3> kernel_size_;
  Size<3> stride_;
  Size<3> padding_;
};
