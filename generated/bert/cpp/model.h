// BertModel in MLX, transpiled; see manifest.json.
#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "nn.h"

namespace bert_model {

// The values of config.json, which the weights carry.
struct ModelArgs {
  int vocab_size;
  int type_vocab_size;
  int max_position_embeddings;
  int hidden_size;
  int intermediate_size;
  int num_hidden_layers;
  int num_attention_heads;
  int head_dim;
  float layer_norm_eps;
  int dense_output_dims;

  static ModelArgs read(const nn::Weights& weights);
};

class BertEmbeddings {
 public:
  BertEmbeddings(
      const nn::Weights& weights,
      const std::string& prefix,
      const ModelArgs& args);
  mx::array operator()(
      const mx::array& input_ids, const mx::array& token_type_ids) const;

 private:
  nn::Embedding word_embeddings_;
  nn::Embedding token_type_embeddings_;
  nn::Embedding position_embeddings_;
  nn::LayerNorm LayerNorm_;
};

class BertSelfAttention {
 public:
  BertSelfAttention(
      const nn::Weights& weights,
      const std::string& prefix,
      const ModelArgs& args);
  mx::array operator()(
      const mx::array& input, const mx::array& attention_mask) const;

 private:
  int head_dim_;
  float scale_;
  nn::Linear query_;
  nn::Linear key_;
  nn::Linear value_;
};

class BertSelfOutput {
 public:
  BertSelfOutput(
      const nn::Weights& weights,
      const std::string& prefix,
      const ModelArgs& args);
  mx::array operator()(const mx::array& input, const mx::array& normed) const;

 private:
  nn::Linear dense_;
  nn::LayerNorm LayerNorm_;
};

class BertAttention {
 public:
  BertAttention(
      const nn::Weights& weights,
      const std::string& prefix,
      const ModelArgs& args);
  mx::array operator()(
      const mx::array& input, const mx::array& attention_mask) const;

 private:
  BertSelfAttention self_;
  BertSelfOutput output_;
};

class BertIntermediate {
 public:
  BertIntermediate(
      const nn::Weights& weights,
      const std::string& prefix,
      const ModelArgs& args);
  mx::array operator()(const mx::array& input) const;

 private:
  nn::Linear dense_;
};

class BertOutput {
 public:
  BertOutput(
      const nn::Weights& weights,
      const std::string& prefix,
      const ModelArgs& args);
  mx::array operator()(const mx::array& h, const mx::array& input) const;

 private:
  nn::Linear dense_;
  nn::LayerNorm LayerNorm_;
};

class BertLayer {
 public:
  BertLayer(
      const nn::Weights& weights,
      const std::string& prefix,
      const ModelArgs& args);
  mx::array operator()(
      const mx::array& input, const mx::array& attention_mask) const;

 private:
  BertAttention attention_;
  BertIntermediate intermediate_;
  BertOutput output_;
};

class BertEncoder {
 public:
  BertEncoder(
      const nn::Weights& weights,
      const std::string& prefix,
      const ModelArgs& args);
  mx::array operator()(mx::array input, const mx::array& attention_mask) const;

 private:
  std::vector<BertLayer> layer_;
};

class BertPooler {
 public:
  BertPooler(
      const nn::Weights& weights,
      const std::string& prefix,
      const ModelArgs& args);
  mx::array operator()(const mx::array& hidden_states) const;

 private:
  nn::Linear dense_;
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
  std::tuple<mx::array, mx::array> operator()(
      const mx::array& input_ids,
      mx::array attention_mask,
      const mx::array& token_type_ids) const;

 private:
  int vocab_size_;
  int type_vocab_size_;
  BertEmbeddings embeddings_;
  BertEncoder encoder_;
  BertPooler pooler_;
  bool check_indices_;
};

} // namespace bert_model
