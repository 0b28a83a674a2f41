#include "model.h"

#include <cmath>
#include <string>
#include <vector>

namespace llama_for_causal_lm {

ModelArgs ModelArgs::read(const nn::Weights& weights) {
  return {
      .vocab_size = weights.integer("vocab_size"),
      .hidden_size = weights.integer("hidden_size"),
      .intermediate_size = weights.integer("intermediate_size"),
      .num_hidden_layers = weights.integer("num_hidden_layers"),
      .num_attention_heads = weights.integer("num_attention_heads"),
      .num_key_value_heads = weights.integer("num_key_value_heads"),
      .head_dim = weights.integer("head_dim"),
      .rms_norm_eps = weights.number("rms_norm_eps"),
      .rope_theta = weights.number("rope_theta"),
  };
}

LlamaAttention::LlamaAttention(
    const nn::Weights& weights,
    const std::string& prefix,
    const ModelArgs& args)
    : head_dim_(args.head_dim),
      scale_(std::pow(args.head_dim, -0.5)),
      q_proj_(
          weights,
          prefix + "q_proj",
          args.hidden_size,
          args.num_attention_heads * args.head_dim,
          /* bias = */ false),
      k_proj_(
          weights,
          prefix + "k_proj",
          args.hidden_size,
          args.num_key_value_heads * args.head_dim,
          /* bias = */ false),
      v_proj_(
          weights,
          prefix + "v_proj",
          args.hidden_size,
          args.num_key_value_heads * args.head_dim,
          /* bias = */ false),
      o_proj_(
          weights,
          prefix + "o_proj",
          args.num_attention_heads * args.head_dim,
          args.hidden_size,
          /* bias = */ false),
      rope_(
          weights,
          prefix + "rope",
          args.head_dim,
          /* traditional = */ false,
          args.rope_theta) {}

mx::array LlamaAttention::operator()(const mx::array& hidden_states) const {
  int B = hidden_states.shape(0);
  int L = hidden_states.shape(1);

  auto queries = mx::reshape(q_proj_(hidden_states), {B, L, -1, head_dim_});
  queries = mx::transpose(queries, {0, 2, 1, 3});
  auto keys = mx::reshape(k_proj_(hidden_states), {B, L, -1, head_dim_});
  keys = mx::transpose(keys, {0, 2, 1, 3});
  auto values = mx::reshape(v_proj_(hidden_states), {B, L, -1, head_dim_});
  values = mx::transpose(values, {0, 2, 1, 3});
  queries = rope_(queries);
  keys = rope_(keys);
  auto attn_output = mx::fast::scaled_dot_product_attention(
      queries, keys, values, scale_, /* mask_mode = */ "causal");
  return o_proj_(
      mx::reshape(mx::transpose(attn_output, {0, 2, 1, 3}), {B, L, -1}));
}

LlamaMLP::LlamaMLP(
    const nn::Weights& weights,
    const std::string& prefix,
    const ModelArgs& args)
    : gate_proj_(
          weights,
          prefix + "gate_proj",
          args.hidden_size,
          args.intermediate_size,
          /* bias = */ false),
      up_proj_(
          weights,
          prefix + "up_proj",
          args.hidden_size,
          args.intermediate_size,
          /* bias = */ false),
      down_proj_(
          weights,
          prefix + "down_proj",
          args.intermediate_size,
          args.hidden_size,
          /* bias = */ false) {}

mx::array LlamaMLP::operator()(const mx::array& input) const {
  return down_proj_(
      nn::fuse(
          [](const auto& gate_proj, const auto& up_proj) {
            return nn::silu(gate_proj) * up_proj;
          },
          gate_proj_(input),
          up_proj_(input)));
}

LlamaDecoderLayer::LlamaDecoderLayer(
    const nn::Weights& weights,
    const std::string& prefix,
    const ModelArgs& args)
    : input_layernorm_(
          weights,
          prefix + "input_layernorm",
          args.hidden_size,
          args.rms_norm_eps),
      self_attn_(weights, prefix + "self_attn.", args),
      post_attention_layernorm_(
          weights,
          prefix + "post_attention_layernorm",
          args.hidden_size,
          args.rms_norm_eps),
      mlp_(weights, prefix + "mlp.", args) {}

mx::array LlamaDecoderLayer::operator()(mx::array hidden_states) const {
  hidden_states = hidden_states + self_attn_(input_layernorm_(hidden_states));
  return hidden_states + mlp_(post_attention_layernorm_(hidden_states));
}

LlamaModel::LlamaModel(
    const nn::Weights& weights,
    const std::string& prefix,
    const ModelArgs& args)
    : embed_tokens_(
          weights, prefix + "embed_tokens", args.vocab_size, args.hidden_size),
      norm_(weights, prefix + "norm", args.hidden_size, args.rms_norm_eps) {
  for (int i = 0; i < args.num_hidden_layers; ++i) {
    layers_.emplace_back(
        weights, prefix + "layers." + std::to_string(i) + ".", args);
  }
}

mx::array LlamaModel::operator()(const mx::array& input_ids) const {
  auto hidden_states = embed_tokens_(input_ids);
  for (const auto& layer : layers_) {
    hidden_states = layer(hidden_states);
  }
  return norm_(hidden_states);
}

Model::Model(
    const nn::Weights& weights, const ModelArgs& args, bool check_indices)
    : vocab_size_(args.vocab_size),
      model_(weights, "model.", args),
      lm_head_(
          weights,
          "lm_head",
          args.hidden_size,
          args.vocab_size,
          /* bias = */ false),
      check_indices_(check_indices) {}

mx::array Model::operator()(const mx::array& input_ids) const {
  nn::check_input("input_ids", input_ids, {-1, -1}, mx::int64);
  if (check_indices_) {
    nn::check_range("input_ids", input_ids, 0, vocab_size_);
  }
  return lm_head_(model_(input_ids));
}

Model Model::load(const std::string& path, bool check_indices) {
  auto weights = nn::Weights::load(path);
  Model model(weights, ModelArgs::read(weights), check_indices);
  nn::check_all_used(weights);
  return model;
}

nn::Tensors Model::run(const nn::Tensors& inputs) const {
  nn::check_names(inputs, input_names());
  return {{"output", (*this)(nn::input(inputs, "input_ids"))}};
}

std::vector<std::string> Model::input_names() {
  return {"input_ids"};
}

} // namespace llama_for_causal_lm
