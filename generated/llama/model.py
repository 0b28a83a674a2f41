"""LlamaForCausalLM in MLX, transpiled; see manifest.json."""

import json
from dataclasses import dataclass, fields
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn


@dataclass
class ModelArgs:
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float
    rope_theta: float


class LlamaAttention(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.head_dim = args.head_dim
        self.scale = args.head_dim**-0.5
        self.q_proj = nn.Linear(
            args.hidden_size, args.num_attention_heads * args.head_dim, bias=False
        )
        self.k_proj = nn.Linear(
            args.hidden_size, args.num_key_value_heads * args.head_dim, bias=False
        )
        self.v_proj = nn.Linear(
            args.hidden_size, args.num_key_value_heads * args.head_dim, bias=False
        )
        self.o_proj = nn.Linear(
            args.num_attention_heads * args.head_dim, args.hidden_size, bias=False
        )
        self.rope = nn.RoPE(args.head_dim, base=args.rope_theta)

    def __call__(self, hidden_states: mx.array) -> mx.array:
        B, L, _ = hidden_states.shape

        queries = self.q_proj(hidden_states).reshape(B, L, -1, self.head_dim)
        queries = queries.transpose(0, 2, 1, 3)
        keys = self.k_proj(hidden_states).reshape(B, L, -1, self.head_dim)
        keys = keys.transpose(0, 2, 1, 3)
        values = self.v_proj(hidden_states).reshape(B, L, -1, self.head_dim)
        values = values.transpose(0, 2, 1, 3)
        queries = self.rope(queries)
        keys = self.rope(keys)
        attn_output = mx.fast.scaled_dot_product_attention(
            queries, keys, values, scale=self.scale, mask="causal"
        )
        return self.o_proj(attn_output.transpose(0, 2, 1, 3).reshape(B, L, -1))


class LlamaMLP(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.gate_proj = nn.Linear(args.hidden_size, args.intermediate_size, bias=False)
        self.up_proj = nn.Linear(args.hidden_size, args.intermediate_size, bias=False)
        self.down_proj = nn.Linear(args.intermediate_size, args.hidden_size, bias=False)

    def __call__(self, input: mx.array) -> mx.array:
        return self.down_proj(nn.silu(self.gate_proj(input)) * self.up_proj(input))


class LlamaDecoderLayer(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.input_layernorm = nn.RMSNorm(args.hidden_size, eps=args.rms_norm_eps)
        self.self_attn = LlamaAttention(args)
        self.post_attention_layernorm = nn.RMSNorm(
            args.hidden_size, eps=args.rms_norm_eps
        )
        self.mlp = LlamaMLP(args)

    def __call__(self, hidden_states: mx.array) -> mx.array:
        hidden_states = hidden_states + self.self_attn(
            self.input_layernorm(hidden_states)
        )
        return hidden_states + self.mlp(self.post_attention_layernorm(hidden_states))


class LlamaModel(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.embed_tokens = nn.Embedding(args.vocab_size, args.hidden_size)
        self.layers = [LlamaDecoderLayer(args) for _ in range(args.num_hidden_layers)]
        self.norm = nn.RMSNorm(args.hidden_size, eps=args.rms_norm_eps)

    def __call__(self, input_ids: mx.array) -> mx.array:
        hidden_states = self.embed_tokens(input_ids)
        for layer in self.layers:
            hidden_states = layer(hidden_states)
        return self.norm(hidden_states)


class Model(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.model = LlamaModel(args)
        self.lm_head = nn.Linear(args.hidden_size, args.vocab_size, bias=False)

    def __call__(self, input_ids: mx.array) -> mx.array:
        return self.lm_head(self.model(input_ids))


def load(path: str | Path | None = None) -> Model:
    """Build the model from config.json and weights.safetensors in `path` (here by default)."""
    path = Path(path or Path(__file__).parent)
    config = json.loads((path / "config.json").read_text())
    model = Model(ModelArgs(**{f.name: config[f.name] for f in fields(ModelArgs)}))
    weights = mx.load(str(path / "weights.safetensors"))
    if "quantization" in config:
        nn.quantize(
            model,
            **config["quantization"],
            class_predicate=lambda name, module: hasattr(module, "to_quantized")
            and f"{name}.scales" in weights,
        )
    model.load_weights(list(weights.items()))
    return model.eval()
