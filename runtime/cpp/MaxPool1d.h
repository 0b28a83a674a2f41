#include <optional>
#include <string>

#include "Size.h"
#include "Weights.h"
#include "max_pool.h"

// torch.nn.MaxPool1d over x [N, L, C].
class MaxPool1d {
 public:
  MaxPool1d(
      const Weights&,
      const std::string&,
      Size<1> kernel_size,
      const std::optional<Size<1>>& stride = std::nullopt,
      Size<1> padding = 0)
      : kernel_size_(kernel_size),
        stride_(stride.value_or(kernel_size)),
        padding_(padding) {}

  mx::array operator()(const mx::array& x) const {
    return max_pool(x, kernel_size_, stride_, padding_);
  }

 private:
  Size<1> kernel_size_;
  Size<1> stride_;
  Size<1> padding_;
};
