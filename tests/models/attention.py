"""Networks around torch's own attention layers, and one layer that runs several times."""

from torch import Tensor, nn

from .case import Case, floats, seeded, tokens


class MHAEncoder(nn.Module):
    def __init__(self, dim: int = 16, heads: int = 4, layers: int = 2):
        super().__init__()
        self.proj = nn.Linear(6, dim)
        layer = nn.TransformerEncoderLayer(
            dim, heads, dim_feedforward=24, batch_first=True, norm_first=True, activation="gelu"
        )
        self.encoder = nn.TransformerEncoder(
            layer, layers, norm=nn.LayerNorm(dim), enable_nested_tensor=False
        )
        self.head = nn.Linear(dim, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.proj(x)).mean(dim=1))


class CrossAttention(nn.Module):
    """nn.MultiheadAttention between two sequences, weights of the attention returned too."""

    def __init__(self, dim: int = 16):
        super().__init__()
        self.attn = nn.MultiheadAttention(dim, 4, kdim=10, vdim=12, batch_first=True)
        self.norm = nn.LayerNorm(dim)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        attended, weights = self.attn(query, key, value)
        return self.norm(query + attended), weights


class SharedLayer(nn.Module):
    """Two sub-modules and a residual, like one layer of ALBERT."""

    def __init__(self, dim: int):
        super().__init__()
        self.full_layer_layer_norm = nn.LayerNorm(dim)
        self.ffn = nn.Linear(dim, 2 * dim)
        self.ffn_output = nn.Linear(2 * dim, dim)
        self.activation = nn.GELU(approximate="tanh")

    def forward(self, hidden_states: Tensor) -> Tensor:
        ffn_output = self.ffn_output(self.activation(self.ffn(hidden_states)))
        return self.full_layer_layer_norm(ffn_output + hidden_states)


class SharedEncoder(nn.Module):
    """One layer, called `calls` times with the same weights."""

    def __init__(self, calls: int, dim: int = 16):
        super().__init__()
        self.calls = calls
        self.embeddings = nn.Embedding(30, dim)
        self.albert_layer = SharedLayer(dim)

    def forward(self, input_ids: Tensor) -> Tensor:
        hidden_states = self.embeddings(input_ids)
        for _ in range(self.calls):
            hidden_states = self.albert_layer(hidden_states)
        return hidden_states


def mha_encoder() -> Case:
    """Parameters keep their gradients, so that torch does not take its fused inference path."""
    return Case(seeded(MHAEncoder()), (floats(2, 7, 6),), ({0: "B", 1: "L"},))


def mha_encoder_fused() -> Case:
    """Without gradients: each layer is one `aten::_transformer_encoder_layer_fwd` in a trace."""
    case = mha_encoder()
    return case._replace(module=case.module.requires_grad_(False))


def cross_attention() -> Case:
    inputs = (floats(2, 7, 16), floats(2, 5, 10, seed=1), floats(2, 5, 12, seed=2))
    keys = {0: "B", 1: "S"}
    return Case(seeded(CrossAttention()), inputs, ({0: "B", 1: "L"}, keys, keys))


def shared_layer(calls: int = 2) -> Case:
    return Case(seeded(SharedEncoder(calls)), (tokens(2, 7, vocabulary=30),), ({0: "B", 1: "L"},))
