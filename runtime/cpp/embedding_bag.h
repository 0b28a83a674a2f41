#include <limits>
#include <optional>
#include <string>

#include "Scalar.h"
#include "slice.h"
#include "update_at.h"

// torch's embedding_bag by "sum", "mean" or "max"; an empty bag gives zeros.
// indices: [bags, length], or all of them in a row with the offsets where bags
// start.
inline mx::array embedding_bag(
    const mx::array& weight,
    const mx::array& indices,
    const std::optional<mx::array>& offsets = std::nullopt,
    const std::string& mode = "mean",
    const std::optional<mx::array>& per_sample_weights = std::nullopt,
    std::optional<int> padding_idx = std::nullopt,
    bool include_last_offset = false) {
  int bags = offsets ? static_cast<int>(offsets->size()) - include_last_offset
                     : indices.shape(0);
  auto places = mx::flatten(indices);
  auto bag = mx::arange(bags);
  if (offsets) {
    auto starts = nn::slice(*offsets, 0, std::nullopt, bags);
    auto steps = mx::arange(static_cast<int>(indices.size()));
    steps = mx::astype(steps, offsets->dtype());
    bag = mx::searchsorted(starts, steps, "right");
    bag = mx::astype(bag, mx::int32) - 1;
  } else {
    bag = mx::repeat(bag, indices.shape(1), 0);
  }
  if (padding_idx) { // an extra bag, dropped below
    bag = mx::where(places == Scalar(*padding_idx), mx::array(bags), bag);
  }

  auto rows = mx::astype(mx::take(weight, places, 0), mx::float32);
  if (per_sample_weights) {
    rows = rows * mx::reshape(*per_sample_weights, {-1, 1});
  }
  auto one = mx::array(1.0f);
  auto zero = mx::array(0.0f);
  auto counts = nn::update_at(mx::zeros({bags + 1, 1}), {bag}, one, "add");
  mx::Shape shape = {bags + 1, rows.shape(1)};
  auto out = mx::zeros(shape);
  if (mode == "max") {
    out = mx::full(shape, -std::numeric_limits<float>::infinity());
    out = nn::update_at(out, {bag}, rows, "maximum");
    out = mx::where(counts > zero, out, zero);
  } else {
    out = nn::update_at(out, {bag}, rows, "add");
    out = mode == "mean" ? out / mx::maximum(counts, one) : out;
  }
  return mx::astype(nn::slice(out, 0, 0, bags), weight.dtype());
}
