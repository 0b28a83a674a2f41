"""A Llama-type decoder: RMSNorm, rotary positions, grouped-query attention, SwiGLU."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .case import Case, seeded, tokens


@dataclass
class LlamaConfig:
    vocab_size: int = 64
    hidden_size: int = 32
    intermediate_size: int = 48
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 8
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    tie_word_embeddings: bool = False
    attention: str = "eager"


class LlamaRMSNorm(nn.Module):
    def __init__(self, hidden_size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))
        self.variance_epsilon = eps

    def forward(self, hidden_states: Tensor) -> Tensor:
        wide = hidden_states.to(torch.float32)
        mean_square = wide.pow(2).mean(-1, keepdim=True)
        normed = wide * torch.rsqrt(mean_square + self.variance_epsilon)
        return self.weight * normed.to(hidden_states.dtype)


class LlamaRotaryEmbedding(nn.Module):
    inv_freq: Tensor

    def __init__(self, config: LlamaConfig):
        super().__init__()
        exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
        self.register_buffer("inv_freq", 1.0 / config.rope_theta**exponents, persistent=False)

    def forward(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        batch = position_ids.shape[0]
        column = self.inv_freq[None, :, None].float().expand(batch, -1, 1)
        angles = (column @ position_ids[:, None, :].float()).transpose(1, 2)
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos().to(x.dtype), angles.sin().to(x.dtype)


def rotate_half(x: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), dim=-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions on (B, heads, L, head_dim), tables (B or 1, L, head_dim)."""
    return x * cos.unsqueeze(1) + rotate_half(x) * sin.unsqueeze(1)


def repeat_kv(x: Tensor, groups: int) -> Tensor:
    """(B, kv_heads, L, head_dim) to (B, kv_heads * groups, L, head_dim)."""
    if groups == 1:
        return x
    B, heads, L, head_dim = x.shape
    return x[:, :, None].expand(B, heads, groups, L, head_dim).reshape(B, -1, L, head_dim)


class LlamaAttention(nn.Module):
    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.head_dim = config.head_dim
        self.num_key_value_groups = config.num_attention_heads // config.num_key_value_heads
        self.scaling = self.head_dim**-0.5
        self.kind = config.attention
        q_width = config.num_attention_heads * self.head_dim
        kv_width = config.num_key_value_heads * self.head_dim
        self.q_proj = nn.Linear(config.hidden_size, q_width, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, kv_width, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, kv_width, bias=False)
        self.o_proj = nn.Linear(q_width, config.hidden_size, bias=False)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        if self.kind == "sdpa":
            return F.scaled_dot_product_attention(query, key, value, mask, scale=self.scaling)
        attn_weights = torch.matmul(query, key.transpose(2, 3)) * self.scaling
        attn_weights = attn_weights + mask
        attn_weights = F.softmax(attn_weights, dim=-1, dtype=torch.float32).to(query.dtype)
        return torch.matmul(attn_weights, value)

    def forward(
        self, hidden_states: Tensor, position_embeddings: tuple[Tensor, Tensor], mask: Tensor
    ) -> Tensor:
        input_shape = hidden_states.shape[:-1]
        hidden_shape = (*input_shape, -1, self.head_dim)
        query_states = self.q_proj(hidden_states).view(hidden_shape).transpose(1, 2)
        key_states = self.k_proj(hidden_states).view(hidden_shape).transpose(1, 2)
        value_states = self.v_proj(hidden_states).view(hidden_shape).transpose(1, 2)
        cos, sin = position_embeddings
        query_states = rotate(query_states, cos, sin)
        key_states = repeat_kv(rotate(key_states, cos, sin), self.num_key_value_groups)
        value_states = repeat_kv(value_states, self.num_key_value_groups)
        attn_output = self.attend(query_states, key_states, value_states, mask)
        attn_output = attn_output.transpose(1, 2).reshape(*input_shape, -1).contiguous()
        return self.o_proj(attn_output)


class LlamaMLP(nn.Module):
    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.act_fn = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))


class LlamaDecoderLayer(nn.Module):
    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.self_attn = LlamaAttention(config)
        self.mlp = LlamaMLP(config)
        self.input_layernorm = LlamaRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = LlamaRMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self, hidden_states: Tensor, position_embeddings: tuple[Tensor, Tensor], mask: Tensor
    ) -> Tensor:
        normed = self.input_layernorm(hidden_states)
        hidden_states = hidden_states + self.self_attn(normed, position_embeddings, mask)
        normed = self.post_attention_layernorm(hidden_states)
        return hidden_states + self.mlp(normed)


def causal_mask(inputs_embeds: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Additive, (B, 1, L, L) or (1, 1, L, L): the lowest float where a query may not look."""
    length = inputs_embeds.shape[1]
    positions = torch.arange(length, device=inputs_embeds.device)
    allowed = (positions[None, :] <= positions[:, None])[None, None]
    if attention_mask is not None:
        allowed = allowed & attention_mask[:, None, None, :].to(torch.bool)
    lowest = torch.finfo(inputs_embeds.dtype).min
    return torch.zeros_like(allowed, dtype=inputs_embeds.dtype).masked_fill(~allowed, lowest)


class LlamaModel(nn.Module):
    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(
            LlamaDecoderLayer(config) for _ in range(config.num_hidden_layers)
        )
        self.norm = LlamaRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.rotary_emb = LlamaRotaryEmbedding(config)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        hidden_states = self.embed_tokens(input_ids)
        position_ids = torch.arange(input_ids.shape[1], device=input_ids.device).unsqueeze(0)
        mask = causal_mask(hidden_states, attention_mask)
        position_embeddings = self.rotary_emb(hidden_states, position_ids)
        for decoder_layer in self.layers:
            hidden_states = decoder_layer(hidden_states, position_embeddings, mask)
        return self.norm(hidden_states)


class LlamaForCausalLM(nn.Module):
    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.model = LlamaModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        return self.lm_head(self.model(input_ids, attention_mask))


def llama_decoder(num_hidden_layers: int = 2) -> Case:
    """input_ids only, attention written out, an untied head."""
    config = LlamaConfig(num_hidden_layers=num_hidden_layers)
    ids = tokens(2, 7, vocabulary=config.vocab_size)
    return Case(seeded(LlamaForCausalLM(config)), (ids,), ({0: "B", 1: "L"},))


def llama_decoder_tied(num_hidden_layers: int = 2) -> Case:
    """Ids and a padding mask, torch's fused attention, the head tied to the embedding."""
    config = LlamaConfig(
        num_hidden_layers=num_hidden_layers, tie_word_embeddings=True, attention="sdpa"
    )
    ids = tokens(2, 7, vocabulary=config.vocab_size)
    mask = torch.ones_like(ids)
    mask[1, :3] = 0
    axes = {0: "B", 1: "L"}
    return Case(seeded(LlamaForCausalLM(config)), (ids, mask), (axes, axes))
