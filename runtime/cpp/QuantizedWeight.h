#include <stdexcept>
#include <string>

#include "Weights.h"

// A matrix [rows, columns] in packed integers with a scale and a bias for each
// group of columns: `weight`, `scales` and `biases` beside each other, bits and
// group size from the hyper-parameters, for this matrix or for all.
class QuantizedWeight {
 public:
  QuantizedWeight(
      const Weights& weights,
      const std::string& name,
      int rows,
      int columns)
      : bits_(setting(weights, name, "bits")),
        group_size_(setting(weights, name, "group_size")),
        weight_(weights.get(
            name + ".weight",
            {rows, checked(columns, name) / 32 * bits_},
            mx::uint32)),
        scales_(weights.get(name + ".scales", {rows, columns / group_size_})),
        biases_(weights.get(name + ".biases", {rows, columns / group_size_})) {}

  // Whether the matrix of that module is stored in this form.
  static bool found(const Weights& weights, const std::string& name) {
    return weights.has(name + ".scales");
  }

  // x [..., columns] times the transposed matrix: [..., rows].
  mx::array matmul(const mx::array& x) const {
    return mx::quantized_matmul(
        x,
        weight_,
        scales_,
        biases_,
        /* transpose = */ true,
        group_size_,
        bits_);
  }

  // The rows that `index` names, in full precision: [..., columns].
  mx::array take(const mx::array& index) const {
    return mx::dequantize(
        mx::take(weight_, index, 0),
        mx::take(scales_, index, 0),
        mx::take(biases_, index, 0),
        group_size_,
        bits_);
  }

 private:
  static int setting(
      const Weights& weights,
      const std::string& name,
      const std::string& key) {
    auto own = "quantization." + name + "." + key;
    return weights.integer(
        weights.has_config(own) ? own : "quantization." + key);
  }

  int checked(int columns, const std::string& name) const {
    bool groups = group_size_ == 32 || group_size_ == 64 || group_size_ == 128;
    if (bits_ < 2 || bits_ > 8 || bits_ == 7 || !groups ||
        columns % group_size_ != 0) {
      throw std::runtime_error(
          "'" + name + "' cannot have " + std::to_string(bits_) +
          " bits in groups of " + std::to_string(group_size_));
    }
    return columns;
  }

  int bits_;
  int group_size_;
  mx::array weight_;
  mx::array scales_;
  mx::array biases_;
};
