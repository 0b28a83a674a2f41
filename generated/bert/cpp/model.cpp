#include "model.h"

#include <cmath>
#include <string>
#include <tuple>
#include <vector>

namespace bert_model {

ModelArgs ModelArgs::read(const nn::Weights& weights) {
  return {
      .vocab_size = weights.integer("vocab_size"),
      .type_vocab_size = weights.integer("type_vocab_size"),
      .max_position_embeddings = weights.integer("max_position_embeddings"),
      .hidden_size = weights.integer("hidden_size"),
      .intermediate_size = weights.integer("intermediate_size"),
      .num_hidden_layers = weights.integer("num_hidden_layers"),
      .num_attention_heads = weights.integer("num_attention_heads"),
      .head_dim = weights.integer("head_dim"),
      .layer_norm_eps = weights.number("layer_norm_eps"),
      .dense_output_dims = weights.integer("dense_output_dims"),
  };
}

BertEmbeddings::BertEmbeddings(
    const nn::Weights& weights,
    const std::string& prefix,
    const ModelArgs& args)
    : word_embeddings_(
          weights,
          prefix + "word_embeddings",
          args.vocab_size,
          args.hidden_size),
      token_type_embeddings_(
          weights,
          prefix + "token_type_embeddings",
          args.type_vocab_size,
          args.hidden_size),
      position_embeddings_(
          weights,
          prefix + "position_embeddings",
          args.max_position_embeddings,
          args.hidden_size),
      LayerNorm_(
          weights,
          prefix + "LayerNorm",
          args.hidden_size,
          args.layer_norm_eps) {}

mx::array BertEmbeddings::operator()(
    const mx::array& input_ids, const mx::array& token_type_ids) const {
  int L = input_ids.shape(1);

  auto embeddings =
      word_embeddings_(input_ids) + token_type_embeddings_(token_type_ids);
  return LayerNorm_(
      embeddings + position_embeddings_(mx::expand_dims(mx::arange(L), 0)));
}

BertSelfAttention::BertSelfAttention(
    const nn::Weights& weights,
    const std::string& prefix,
    const ModelArgs& args)
    : head_dim_(args.head_dim),
      scale_(std::pow(args.head_dim, -0.5)),
      query_(
          weights,
          prefix + "query",
          args.hidden_size,
          args.num_attention_heads * args.head_dim),
      key_(
          weights,
          prefix + "key",
          args.hidden_size,
          args.num_attention_heads * args.head_dim),
      value_(
          weights,
          prefix + "value",
          args.hidden_size,
          args.num_attention_heads * args.head_dim) {}

mx::array BertSelfAttention::operator()(
    const mx::array& input, const mx::array& attention_mask) const {
  int B = input.shape(0);
  int L = input.shape(1);

  auto queries = mx::reshape(query_(input), {B, L, -1, head_dim_});
  queries = mx::transpose(queries, {0, 2, 1, 3});
  auto keys = mx::reshape(key_(input), {B, L, -1, head_dim_});
  auto values = mx::reshape(value_(input), {B, L, -1, head_dim_});
  values = mx::transpose(values, {0, 2, 1, 3});
  keys = mx::transpose(keys, {0, 2, 1, 3});
  auto mask = nn::match_mask(attention_mask, queries);
  auto attn_output = mx::fast::scaled_dot_product_attention(
      queries, keys, values, scale_, /* mask_mode = */ "array", mask);
  return mx::reshape(mx::transpose(attn_output, {0, 2, 1, 3}), {B, L, -1});
}

BertSelfOutput::BertSelfOutput(
    const nn::Weights& weights,
    const std::string& prefix,
    const ModelArgs& args)
    : dense_(
          weights,
          prefix + "dense",
          args.num_attention_heads * args.head_dim,
          args.hidden_size),
      LayerNorm_(
          weights,
          prefix + "LayerNorm",
          args.hidden_size,
          args.layer_norm_eps) {}

mx::array BertSelfOutput::operator()(
    const mx::array& input, const mx::array& normed) const {
  return LayerNorm_(dense_(input) + normed);
}

BertAttention::BertAttention(
    const nn::Weights& weights,
    const std::string& prefix,
    const ModelArgs& args)
    : self_(weights, prefix + "self.", args),
      output_(weights, prefix + "output.", args) {}

mx::array BertAttention::operator()(
    const mx::array& input, const mx::array& attention_mask) const {
  return output_(self_(input, attention_mask), input);
}

BertIntermediate::BertIntermediate(
    const nn::Weights& weights,
    const std::string& prefix,
    const ModelArgs& args)
    : dense_(
          weights, prefix + "dense", args.hidden_size, args.intermediate_size) {
}

mx::array BertIntermediate::operator()(const mx::array& input) const {
  return nn::gelu(dense_(input));
}

BertOutput::BertOutput(
    const nn::Weights& weights,
    const std::string& prefix,
    const ModelArgs& args)
    : dense_(
          weights, prefix + "dense", args.intermediate_size, args.hidden_size),
      LayerNorm_(
          weights,
          prefix + "LayerNorm",
          args.hidden_size,
          args.layer_norm_eps) {}

mx::array BertOutput::operator()(
    const mx::array& h, const mx::array& input) const {
  return LayerNorm_(dense_(h) + input);
}

BertLayer::BertLayer(
    const nn::Weights& weights,
    const std::string& prefix,
    const ModelArgs& args)
    : attention_(weights, prefix + "attention.", args),
      intermediate_(weights, prefix + "intermediate.", args),
      output_(weights, prefix + "output.", args) {}

mx::array BertLayer::operator()(
    const mx::array& input, const mx::array& attention_mask) const {
  auto normed = attention_(input, attention_mask);
  return output_(intermediate_(normed), normed);
}

BertEncoder::BertEncoder(
    const nn::Weights& weights,
    const std::string& prefix,
    const ModelArgs& args) {
  for (int i = 0; i < args.num_hidden_layers; ++i) {
    layer_.emplace_back(
        weights, prefix + "layer." + std::to_string(i) + ".", args);
  }
}

mx::array BertEncoder::operator()(
    mx::array input, const mx::array& attention_mask) const {
  for (const auto& layer : layer_) {
    input = layer(input, attention_mask);
  }
  return input;
}

BertPooler::BertPooler(
    const nn::Weights& weights,
    const std::string& prefix,
    const ModelArgs& args)
    : dense_(
          weights, prefix + "dense", args.hidden_size, args.dense_output_dims) {
}

mx::array BertPooler::operator()(const mx::array& hidden_states) const {
  return mx::tanh(dense_(mx::take(hidden_states, 0, 1)));
}

Model::Model(
    const nn::Weights& weights, const ModelArgs& args, bool check_indices)
    : vocab_size_(args.vocab_size),
      type_vocab_size_(args.type_vocab_size),
      embeddings_(weights, "embeddings.", args),
      encoder_(weights, "encoder.", args),
      pooler_(weights, "pooler.", args),
      check_indices_(check_indices) {}

std::tuple<mx::array, mx::array> Model::operator()(
    const mx::array& input_ids,
    mx::array attention_mask,
    const mx::array& token_type_ids) const {
  nn::check_input("input_ids", input_ids, {-1, -1}, mx::int64);
  int B = input_ids.shape(0);
  int L = input_ids.shape(1);
  nn::check_input("attention_mask", attention_mask, {B, L}, mx::int64);
  nn::check_input("token_type_ids", token_type_ids, {B, L}, mx::int64);
  nn::check_size("L", L, 1, 40);
  if (check_indices_) {
    nn::check_range("input_ids", input_ids, 0, vocab_size_);
    nn::check_range("token_type_ids", token_type_ids, 0, type_vocab_size_);
  }

  attention_mask = nn::Scalar(1.0f) -
      mx::astype(mx::expand_dims(attention_mask, {1, 2}), mx::float32);
  attention_mask = attention_mask * nn::Scalar(-3.4028235e+38f);
  auto hidden_states =
      encoder_(embeddings_(input_ids, token_type_ids), attention_mask);
  return {hidden_states, pooler_(hidden_states)};
}

Model Model::load(const std::string& path, bool check_indices) {
  auto weights = nn::Weights::load(path);
  Model model(weights, ModelArgs::read(weights), check_indices);
  nn::check_all_used(weights);
  return model;
}

nn::Tensors Model::run(const nn::Tensors& inputs) const {
  nn::check_names(inputs, input_names());
  auto results = (*this)(
      nn::input(inputs, "input_ids"),
      nn::input(inputs, "attention_mask"),
      nn::input(inputs, "token_type_ids"));
  return {
      {"output.0", std::get<0>(results)}, {"output.1", std::get<1>(results)}};
}

std::vector<std::string> Model::input_names() {
  return {"input_ids", "attention_mask", "token_type_ids"};
}

} // namespace bert_model
