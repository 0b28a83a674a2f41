"""A T5-type encoder and decoder.

Two things make it hard for structure recovery: the encoder and the decoder are instances of one
class with different bodies, and attention is one class in three roles (self attention with its own
position bias, self attention with the bias of the first layer, cross attention without any).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .case import Case, seeded, tokens


@dataclass
class T5Config:
    vocab_size: int = 40
    d_model: int = 24
    d_kv: int = 6
    d_ff: int = 36
    num_layers: int = 2
    num_heads: int = 4
    buckets: int = 8
    max_distance: int = 16
    layer_norm_epsilon: float = 1e-6


class T5LayerNorm(nn.Module):
    def __init__(self, config: T5Config):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(config.d_model))
        self.variance_epsilon = config.layer_norm_epsilon

    def forward(self, hidden_states: Tensor) -> Tensor:
        variance = hidden_states.pow(2).mean(-1, keepdim=True)
        return self.weight * (hidden_states * torch.rsqrt(variance + self.variance_epsilon))


def bucket_of(distance: Tensor, bidirectional: bool, buckets: int, max_distance: int) -> Tensor:
    """Half of the buckets for near distances, one each; the rest grow logarithmically."""
    offset = torch.zeros_like(distance)
    if bidirectional:
        buckets //= 2
        offset = (distance > 0).to(torch.long) * buckets
        distance = distance.abs()
    else:
        distance = -torch.min(distance, offset)
    near = buckets // 2
    ratio = torch.log(distance.float() / near) / math.log(max_distance / near)
    far = near + (ratio * (buckets - near)).to(torch.long)
    far = torch.min(far, torch.full_like(far, buckets - 1))
    return offset + torch.where(distance < near, distance, far)


class T5Attention(nn.Module):
    def __init__(self, config: T5Config, causal: bool, has_relative_attention_bias: bool = False):
        super().__init__()
        self.config, self.causal = config, causal
        self.has_relative_attention_bias = has_relative_attention_bias
        inner = config.num_heads * config.d_kv
        self.q = nn.Linear(config.d_model, inner, bias=False)
        self.k = nn.Linear(config.d_model, inner, bias=False)
        self.v = nn.Linear(config.d_model, inner, bias=False)
        self.o = nn.Linear(inner, config.d_model, bias=False)
        if has_relative_attention_bias:
            self.relative_attention_bias = nn.Embedding(config.buckets, config.num_heads)

    def compute_bias(self, length: int, device: torch.device) -> Tensor:
        positions = torch.arange(length, device=device)
        distance = positions[None, :] - positions[:, None]
        config = self.config
        bucket = bucket_of(distance, not self.causal, config.buckets, config.max_distance)
        bias = self.relative_attention_bias(bucket).permute(2, 0, 1).unsqueeze(0)
        if self.causal:
            bias = bias.masked_fill(distance > 0, torch.finfo(bias.dtype).min)
        return bias

    def forward(
        self,
        hidden_states: Tensor,
        key_value_states: Tensor | None = None,
        position_bias: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        batch, length = hidden_states.shape[:2]
        source = hidden_states if key_value_states is None else key_value_states
        heads, width = self.config.num_heads, self.config.d_kv
        query_states = self.q(hidden_states).view(batch, -1, heads, width).transpose(1, 2)
        key_states = self.k(source).view(batch, -1, heads, width).transpose(1, 2)
        value_states = self.v(source).view(batch, -1, heads, width).transpose(1, 2)
        scores = torch.matmul(query_states, key_states.transpose(3, 2))
        if self.has_relative_attention_bias:
            position_bias = self.compute_bias(length, hidden_states.device)
        if position_bias is not None:
            scores = scores + position_bias
        attn_weights = F.softmax(scores.float(), dim=-1).type_as(scores)
        attn_output = torch.matmul(attn_weights, value_states).transpose(1, 2).contiguous()
        return self.o(attn_output.view(batch, -1, heads * width)), position_bias


class T5LayerSelfAttention(nn.Module):
    def __init__(self, config: T5Config, causal: bool, first: bool):
        super().__init__()
        self.SelfAttention = T5Attention(config, causal, has_relative_attention_bias=first)
        self.layer_norm = T5LayerNorm(config)
        self.dropout = nn.Dropout(0.1)

    def forward(
        self, hidden_states: Tensor, position_bias: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        normed = self.layer_norm(hidden_states)
        attended, position_bias = self.SelfAttention(normed, None, position_bias)
        return hidden_states + self.dropout(attended), position_bias


class T5LayerCrossAttention(nn.Module):
    def __init__(self, config: T5Config):
        super().__init__()
        self.EncDecAttention = T5Attention(config, causal=False)
        self.layer_norm = T5LayerNorm(config)
        self.dropout = nn.Dropout(0.1)

    def forward(self, hidden_states: Tensor, key_value_states: Tensor) -> Tensor:
        attended, _ = self.EncDecAttention(self.layer_norm(hidden_states), key_value_states)
        return hidden_states + self.dropout(attended)


class T5DenseReluDense(nn.Module):
    def __init__(self, config: T5Config):
        super().__init__()
        self.wi = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.wo = nn.Linear(config.d_ff, config.d_model, bias=False)
        self.dropout = nn.Dropout(0.1)
        self.act = nn.ReLU()

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.wo(self.dropout(self.act(self.wi(hidden_states))))


class T5LayerFF(nn.Module):
    def __init__(self, config: T5Config):
        super().__init__()
        self.DenseReluDense = T5DenseReluDense(config)
        self.layer_norm = T5LayerNorm(config)
        self.dropout = nn.Dropout(0.1)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return hidden_states + self.dropout(self.DenseReluDense(self.layer_norm(hidden_states)))


class T5Block(nn.Module):
    """Self attention, cross attention in a decoder, feed-forward: `layer.0` to `layer.2`."""

    def __init__(self, config: T5Config, is_decoder: bool, first: bool):
        super().__init__()
        self.is_decoder = is_decoder
        self.layer = nn.ModuleList([T5LayerSelfAttention(config, is_decoder, first)])
        if is_decoder:
            self.layer.append(T5LayerCrossAttention(config))
        self.layer.append(T5LayerFF(config))

    def forward(
        self, hidden_states: Tensor, position_bias: Tensor | None, encoder_states: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        hidden_states, position_bias = self.layer[0](hidden_states, position_bias)
        if self.is_decoder:
            hidden_states = self.layer[1](hidden_states, encoder_states)
        return self.layer[-1](hidden_states), position_bias


class T5Stack(nn.Module):
    def __init__(self, config: T5Config, embed_tokens: nn.Embedding, is_decoder: bool):
        super().__init__()
        self.embed_tokens = embed_tokens
        self.block = nn.ModuleList(
            T5Block(config, is_decoder, first=i == 0) for i in range(config.num_layers)
        )
        self.final_layer_norm = T5LayerNorm(config)
        self.dropout = nn.Dropout(0.1)

    def forward(self, input_ids: Tensor, encoder_states: Tensor | None = None) -> Tensor:
        hidden_states = self.dropout(self.embed_tokens(input_ids))
        position_bias = None
        for block in self.block:
            hidden_states, position_bias = block(hidden_states, position_bias, encoder_states)
        return self.dropout(self.final_layer_norm(hidden_states))


class T5Model(nn.Module):
    def __init__(self, config: T5Config):
        super().__init__()
        self.shared = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder = T5Stack(config, self.shared, is_decoder=False)
        self.decoder = T5Stack(config, self.shared, is_decoder=True)

    def forward(self, input_ids: Tensor, decoder_input_ids: Tensor) -> dict[str, Tensor]:
        encoder_states = self.encoder(input_ids)
        hidden_states = self.decoder(decoder_input_ids, encoder_states)
        return {
            "last_hidden_state": hidden_states,
            "encoder_last_hidden_state": encoder_states,
        }


def seq2seq(num_layers: int = 2) -> Case:
    config = T5Config(num_layers=num_layers)
    inputs = (
        tokens(2, 7, vocabulary=config.vocab_size),
        tokens(2, 5, vocabulary=config.vocab_size, seed=1),
    )
    return Case(seeded(T5Model(config)), inputs, ({0: "B", 1: "S"}, {0: "B", 1: "T"}))
