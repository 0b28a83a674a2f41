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
      Size<1> stride,
      Size<1> padding = 0)
      : kernel_size_(kernel_size), stride_(stride), padding_(padding) {}

  // The stride is the kernel's size.
  MaxPool1d(
      const Weights& weights,
      const std::string& name,
      Size<1> kernel_size,
      std::nullopt_t = std::nullopt,
      Size<1> padding = 0)
      : MaxPool1d(weights, name, kernel_size, kernel_size, padding) {}

  mx::array operator()(const mx::array& x) const {
    return max_pool(x, kernel_size_, stride_, padding_);
  }

 private:
  Size<1> kernel_size_;
  Size<1> stride_;
  Size<1> padding_;
};
