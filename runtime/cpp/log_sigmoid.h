#include "softplus.h"

// torch's logsigmoid.
inline mx::array log_sigmoid(const mx::array& x) {
  return -nn::softplus(-x);
}
