"""Writes llama_demo.pt: a small Llama-type decoder, traced, with random weights of a fixed seed.

    python examples/llama_demo/make_model.py [OUTPUT]

One input, `input_ids` (batch, length); one output, the logits (batch, length, vocabulary). Batch
and length stay dynamic in the trace: masks and positions are computed from the shape of the input.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VOCAB_SIZE, HIDDEN_SIZE, INTERMEDIATE_SIZE, NUM_LAYERS = 256, 64, 160, 3
NUM_HEADS, NUM_KEY_VALUE_HEADS, HEAD_DIM = 4, 2, 16
RMS_NORM_EPS, ROPE_THETA = 1e-5, 10000.0


class LlamaRMSNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(HIDDEN_SIZE))

    def forward(self, hidden_states: Tensor) -> Tensor:
        variance = hidden_states.pow(2).mean(-1, keepdim=True)
        return self.weight * (hidden_states * torch.rsqrt(variance + RMS_NORM_EPS))


class LlamaRotaryEmbedding(nn.Module):
    """Tables of the cosine and sine of position times frequency, each (L, HEAD_DIM)."""

    inv_freq: Tensor

    def __init__(self) -> None:
        super().__init__()
        exponents = torch.arange(0, HEAD_DIM, 2).float() / HEAD_DIM
        self.register_buffer("inv_freq", ROPE_THETA**-exponents, persistent=False)

    def forward(self, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        angles = position_ids[:, None].float() * self.inv_freq
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin


def repeat_kv(x: Tensor) -> Tensor:
    """Each key and value head once for every query head of its group."""
    B, heads, L, head_dim = x.shape
    groups = NUM_HEADS // NUM_KEY_VALUE_HEADS
    return x[:, :, None].expand(B, heads, groups, L, head_dim).reshape(B, -1, L, head_dim)


class LlamaAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(HIDDEN_SIZE, NUM_HEADS * HEAD_DIM, bias=False)
        self.k_proj = nn.Linear(HIDDEN_SIZE, NUM_KEY_VALUE_HEADS * HEAD_DIM, bias=False)
        self.v_proj = nn.Linear(HIDDEN_SIZE, NUM_KEY_VALUE_HEADS * HEAD_DIM, bias=False)
        self.o_proj = nn.Linear(NUM_HEADS * HEAD_DIM, HIDDEN_SIZE, bias=False)

    def forward(self, hidden_states: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        B, L, _ = hidden_states.shape
        query = self.q_proj(hidden_states).view(B, L, -1, HEAD_DIM).transpose(1, 2)
        key = self.k_proj(hidden_states).view(B, L, -1, HEAD_DIM).transpose(1, 2)
        value = self.v_proj(hidden_states).view(B, L, -1, HEAD_DIM).transpose(1, 2)
        query, key = rotate(query, cos, sin), rotate(key, cos, sin)
        scores = query @ repeat_kv(key).transpose(2, 3) * HEAD_DIM**-0.5 + mask
        attn_output = F.softmax(scores, dim=-1) @ repeat_kv(value)
        return self.o_proj(attn_output.transpose(1, 2).reshape(B, L, -1))


class LlamaMLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(HIDDEN_SIZE, INTERMEDIATE_SIZE, bias=False)
        self.up_proj = nn.Linear(HIDDEN_SIZE, INTERMEDIATE_SIZE, bias=False)
        self.down_proj = nn.Linear(INTERMEDIATE_SIZE, HIDDEN_SIZE, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class LlamaDecoderLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.self_attn = LlamaAttention()
        self.mlp = LlamaMLP()
        self.input_layernorm = LlamaRMSNorm()
        self.post_attention_layernorm = LlamaRMSNorm()

    def forward(self, hidden_states: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        attended = self.self_attn(self.input_layernorm(hidden_states), cos, sin, mask)
        hidden_states = hidden_states + attended
        return hidden_states + self.mlp(self.post_attention_layernorm(hidden_states))


class LlamaModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCAB_SIZE, HIDDEN_SIZE)
        self.layers = nn.ModuleList(LlamaDecoderLayer() for _ in range(NUM_LAYERS))
        self.norm = LlamaRMSNorm()
        self.rotary_emb = LlamaRotaryEmbedding()

    def forward(self, input_ids: Tensor) -> Tensor:
        hidden_states = self.embed_tokens(input_ids)
        positions = torch.arange(input_ids.shape[1])
        future = positions[None, :] > positions[:, None]
        mask = torch.zeros(future.shape).masked_fill(future, torch.finfo(torch.float32).min)
        cos, sin = self.rotary_emb(positions)
        for decoder_layer in self.layers:
            hidden_states = decoder_layer(hidden_states, cos, sin, mask)
        return self.norm(hidden_states)


class LlamaForCausalLM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = LlamaModel()
        self.lm_head = nn.Linear(HIDDEN_SIZE, VOCAB_SIZE, bias=False)

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.lm_head(self.model(input_ids))


def build() -> LlamaForCausalLM:
    """The decoder with weights under which signals keep their size and no norm is the identity."""
    model = LlamaForCausalLM().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(
                1 + 0.1 * noise if parameter.dim() == 1 else noise / parameter.shape[-1] ** 0.5
            )
    return model


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "llama_demo.pt")
    model, example = build(), torch.arange(14).reshape(2, 7)
    with torch.no_grad():
        torch.jit.trace(model, (example,)).save(str(path))
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
