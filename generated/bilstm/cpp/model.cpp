#include "model.h"

#include <string>
#include <tuple>
#include <vector>

namespace bi_lstm_tagger {

ModelArgs ModelArgs::read(const nn::Weights& weights) {
  return {
      .vocab_size = weights.integer("vocab_size"),
      .rnn_hidden_size = weights.integer("rnn_hidden_size"),
      .embedding_size = weights.integer("embedding_size"),
      .hidden2tag_input_dims = weights.integer("hidden2tag_input_dims"),
      .hidden2tag_output_dims = weights.integer("hidden2tag_output_dims"),
  };
}

Model::Model(
    const nn::Weights& weights, const ModelArgs& args, bool check_indices)
    : vocab_size_(args.vocab_size),
      embedding_(weights, "embedding", args.vocab_size, args.embedding_size),
      lstm_(
          weights,
          "lstm",
          args.embedding_size,
          args.rnn_hidden_size,
          /* num_layers = */ 2,
          /* bias = */ true,
          /* bidirectional = */ true,
          /* batch_first = */ true),
      hidden2tag_(
          weights,
          "hidden2tag",
          args.hidden2tag_input_dims,
          args.hidden2tag_output_dims),
      check_indices_(check_indices) {}

mx::array Model::operator()(const mx::array& sentence) const {
  nn::check_input("sentence", sentence, {-1, -1}, mx::int64);
  if (check_indices_) {
    nn::check_range("sentence", sentence, 0, vocab_size_);
  }

  auto h = std::get<0>(lstm_(embedding_(sentence)));
  return hidden2tag_(h);
}

Model Model::load(const std::string& path, bool check_indices) {
  auto weights = nn::Weights::load(path);
  Model model(weights, ModelArgs::read(weights), check_indices);
  nn::check_all_used(weights);
  return model;
}

nn::Tensors Model::run(const nn::Tensors& inputs) const {
  nn::check_names(inputs, input_names());
  return {{"output", (*this)(nn::input(inputs, "sentence"))}};
}

std::vector<std::string> Model::input_names() {
  return {"sentence"};
}

} // namespace bi_lstm_tagger
