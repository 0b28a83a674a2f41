// BiLSTMTagger in MLX, transpiled; see manifest.json.
#pragma once

#include <string>
#include <vector>

#include "nn.h"

namespace bi_lstm_tagger {

// The values of config.json, which the weights carry.
struct ModelArgs {
  int vocab_size;
  int rnn_hidden_size;
  int embedding_size;
  int hidden2tag_input_dims;
  int hidden2tag_output_dims;

  static ModelArgs read(const nn::Weights& weights);
};

class Model {
 public:
  // Reads weights.safetensors, or the folder that holds it. With
  // check_indices, every call looks at its integer inputs before they index.
  static Model load(const std::string& path, bool check_indices = true);

  // The model on arrays by name, as `operator()` has them in order.
  nn::Tensors run(const nn::Tensors& inputs) const;
  static std::vector<std::string> input_names();

  Model(
      const nn::Weights& weights,
      const ModelArgs& args,
      bool check_indices = true);
  mx::array operator()(const mx::array& sentence) const;

 private:
  int vocab_size_;
  nn::Embedding embedding_;
  nn::LSTM lstm_;
  nn::Linear hidden2tag_;
  bool check_indices_;
};

} // namespace bi_lstm_tagger
