"""BertModel in MLX, transpiled; see manifest.json."""

import json
from dataclasses import dataclass, fields
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn


def check_shape(name: str, x: mx.array, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless the input has the shape that the model was made for."""
    if x.shape != shape:
        raise ValueError(f"{name} has shape {x.shape}, expected {shape}")


def check_size(name: str, size: int, low: int, high: int | None) -> None:
    """Raise ValueError unless low <= size <= high (None: no upper bound)."""
    if size < low or (high is not None and size > high):
        bound = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{name} is {size}, it must be {bound}")


def match_mask(mask: mx.array, queries: mx.array) -> mx.array:
    """An additive mask in the dtype of the queries, clamped to its range."""
    if mask.dtype == queries.dtype:
        return mask
    lowest = mx.finfo(queries.dtype).min
    return mx.maximum(mask, lowest).astype(queries.dtype)


@dataclass
class ModelArgs:
    vocab_size: int
    type_vocab_size: int
    max_position_embeddings: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    head_dim: int
    layer_norm_eps: float
    dense_output_dims: int


class BertEmbeddings(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.word_embeddings = nn.Embedding(args.vocab_size, args.hidden_size)
        self.token_type_embeddings = nn.Embedding(
            args.type_vocab_size, args.hidden_size
        )
        self.position_embeddings = nn.Embedding(
            args.max_position_embeddings, args.hidden_size
        )
        self.LayerNorm = nn.LayerNorm(args.hidden_size, eps=args.layer_norm_eps)

    def __call__(self, input_ids: mx.array, token_type_ids: mx.array) -> mx.array:
        L = input_ids.shape[-1]
        embeddings = self.word_embeddings(input_ids) + self.token_type_embeddings(
            token_type_ids
        )
        return self.LayerNorm(embeddings + self.position_embeddings(mx.arange(L)[None]))


class BertSelfAttention(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.head_dim = args.head_dim
        self.scale = args.head_dim**-0.5
        self.query = nn.Linear(
            args.hidden_size, args.num_attention_heads * args.head_dim
        )
        self.key = nn.Linear(args.hidden_size, args.num_attention_heads * args.head_dim)
        self.value = nn.Linear(
            args.hidden_size, args.num_attention_heads * args.head_dim
        )

    def __call__(self, input: mx.array, attention_mask: mx.array) -> mx.array:
        B, L, _ = input.shape

        queries = self.query(input).reshape(B, L, -1, self.head_dim)
        queries = queries.transpose(0, 2, 1, 3)
        keys = self.key(input).reshape(B, L, -1, self.head_dim)
        values = self.value(input).reshape(B, L, -1, self.head_dim)
        values = values.transpose(0, 2, 1, 3)
        keys = keys.transpose(0, 2, 1, 3)
        mask = match_mask(attention_mask, queries)
        attn_output = mx.fast.scaled_dot_product_attention(
            queries, keys, values, scale=self.scale, mask=mask
        )
        return attn_output.transpose(0, 2, 1, 3).reshape(B, L, -1)


class BertSelfOutput(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.dense = nn.Linear(
            args.num_attention_heads * args.head_dim, args.hidden_size
        )
        self.LayerNorm = nn.LayerNorm(args.hidden_size, eps=args.layer_norm_eps)

    def __call__(self, input: mx.array, normed: mx.array) -> mx.array:
        return self.LayerNorm(self.dense(input) + normed)


class BertAttention(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.self = BertSelfAttention(args)
        self.output = BertSelfOutput(args)

    def __call__(self, input: mx.array, attention_mask: mx.array) -> mx.array:
        return self.output(self.self(input, attention_mask), input)


class BertIntermediate(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.dense = nn.Linear(args.hidden_size, args.intermediate_size)

    def __call__(self, input: mx.array) -> mx.array:
        return nn.gelu(self.dense(input))


class BertOutput(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.dense = nn.Linear(args.intermediate_size, args.hidden_size)
        self.LayerNorm = nn.LayerNorm(args.hidden_size, eps=args.layer_norm_eps)

    def __call__(self, h: mx.array, input: mx.array) -> mx.array:
        return self.LayerNorm(self.dense(h) + input)


class BertLayer(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.attention = BertAttention(args)
        self.intermediate = BertIntermediate(args)
        self.output = BertOutput(args)

    def __call__(self, input: mx.array, attention_mask: mx.array) -> mx.array:
        normed = self.attention(input, attention_mask)
        return self.output(self.intermediate(normed), normed)


class BertEncoder(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.layer = [BertLayer(args) for _ in range(args.num_hidden_layers)]

    def __call__(self, input: mx.array, attention_mask: mx.array) -> mx.array:
        for layer in self.layer:
            input = layer(input, attention_mask)
        return input


class BertPooler(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.dense = nn.Linear(args.hidden_size, args.dense_output_dims)

    def __call__(self, hidden_states: mx.array) -> mx.array:
        return mx.tanh(self.dense(hidden_states[:, 0]))


class Model(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.embeddings = BertEmbeddings(args)
        self.encoder = BertEncoder(args)
        self.pooler = BertPooler(args)

    def __call__(
        self, input_ids: mx.array, attention_mask: mx.array, token_type_ids: mx.array
    ) -> tuple[mx.array, mx.array]:
        B, L = input_ids.shape
        check_shape("attention_mask", attention_mask, (B, L))
        check_shape("token_type_ids", token_type_ids, (B, L))
        check_size("L", L, 1, 40)

        attention_mask = 1.0 - attention_mask[:, None, None].astype(mx.float32)
        attention_mask = attention_mask * -3.4028234663852886e38
        hidden_states = self.encoder(
            self.embeddings(input_ids, token_type_ids), attention_mask
        )
        return (hidden_states, self.pooler(hidden_states))


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
