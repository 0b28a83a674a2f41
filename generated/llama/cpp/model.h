// LlamaForCausalLM in MLX, transpiled; see manifest.json.
#pragma once

#include <string>
#include <vector>

#include "nn.h"

namespace llama_for_causal_lm {

// The values of config.json, which the weights carry.
struct ModelArgs {
  int vocab_size;
  int hidden_size;
  int intermediate_size;
  int num_hidden_layers;
  int num_attention_heads;
  int num_key_value_heads;
  int head_dim;
  float rms_norm_eps;
  float rope_theta;

  static ModelArgs read(const nn::Weights& weights);
};

class LlamaAttention {
 public:
  LlamaAttention(
      const nn::Weights& weights,
      const std::string& prefix,
      const ModelArgs& args);
  mx::array operator()(const mx::array& hidden_states) const;

 private:
  int head_dim_;
  float scale_;
  nn::Linear q_proj_;
  nn::Linear k_proj_;
  nn::Linear v_proj_;
  nn::Linear o_proj_;
  nn::RoPE rope_;
};

class LlamaMLP {
 public:
  LlamaMLP(
      const nn::Weights& weights,
      const std::string& prefix,
      const ModelArgs& args);
  mx::array operator()(const mx::array& input) const;

 private:
  nn::Linear gate_proj_;
  nn::Linear up_proj_;
  nn::Linear down_proj_;
};

class LlamaDecoderLayer {
 public:
  LlamaDecoderLayer(
      const nn::Weights& weights,
      const std::string& prefix,
      const ModelArgs& args);
  mx::array operator()(mx::array hidden_states) const;

 private:
  nn::RMSNorm input_layernorm_;
  LlamaAttention self_attn_;
  nn::RMSNorm post_attention_layernorm_;
  LlamaMLP mlp_;
};

class LlamaModel {
 public:
  LlamaModel(
      const nn::Weights& weights,
      const std::string& prefix,
      const ModelArgs& args);
  mx::array operator()(const mx::array& input_ids) const;

 private:
  nn::Embedding embed_tokens_;
  std::vector<LlamaDecoderLayer> layers_;
  nn::RMSNorm norm_;
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
  mx::array operator()(const mx::array& input_ids) const;

 private:
  int vocab_size_;
  LlamaModel model_;
  nn::Linear lm_head_;
  bool check_indices_;
};

} // namespace llama_for_causal_lm
