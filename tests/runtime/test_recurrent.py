"""Recurrent layers and cells beside torch's."""

import mlx.core as mx
import mlx.nn as nn
import pytest
import torch
from torch_reference import check, helper, to_mx

LAYERS = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU, "RNN": torch.nn.RNN}
OPTIONS = [
    {},
    {"bias": False},
    {"batch_first": True},
    {"bidirectional": True},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
    {"num_layers": 3, "bias": False},
]
PROJECTIONS = [
    {"proj_size": 2},
    {"proj_size": 3, "num_layers": 2, "bidirectional": True, "bias": False},
]


def pair(name, **options):
    """A layer of torch and the helper with the same weights."""
    torch.manual_seed(0)
    reference = LAYERS[name](5, 7, **options)
    layer = helper(name)(5, 7, **options)
    weights = [(k, to_mx(v)) for k, v in reference.state_dict().items()]
    layer.load_weights(weights, strict=True)
    return reference, layer


@pytest.mark.parametrize(
    ("name", "options"),
    [(n, o) for n in LAYERS for o in OPTIONS]
    + [("LSTM", o) for o in PROJECTIONS]
    + [("RNN", {"nonlinearity": "relu", "bidirectional": True})],
)
@pytest.mark.parametrize("length", [1, 6])
def test_layer(name, options, length):
    reference, layer = pair(name, **options)
    x = torch.randn((2, length, 5) if options.get("batch_first") else (length, 2, 5))
    out, state = reference(x)
    check(layer(to_mx(x)), (out, state))

    state = tuple(torch.randn_like(s) for s in state) if name == "LSTM" else torch.randn_like(state)
    check(layer(to_mx(x), to_mx(state)), reference(x, state))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "batch_first": True}])
def test_layer_without_batch(name, options):
    reference, layer = pair(name, **options)
    x = torch.randn(4, 5)
    check(layer(to_mx(x)), reference(x))


@pytest.mark.parametrize("name", LAYERS)
def test_layer_keeps_bfloat16(name):
    reference, layer = pair(name)
    layer.set_dtype(mx.bfloat16)
    x = torch.randn(3, 2, 5).bfloat16()
    out, _ = reference.bfloat16()(x)
    check(layer(to_mx(x))[0], out, rtol=0.03, atol=0.02)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch", [(), (1,), (3,)])
def test_cells(batch, bias):
    torch.manual_seed(0)
    x, h, c = torch.randn(*batch, 5), torch.randn(*batch, 7), torch.randn(*batch, 7)

    def weights(cell):
        return [to_mx(p) for p in cell.parameters()]

    cell = torch.nn.LSTMCell(5, 7, bias)
    check(helper("lstm_cell")(to_mx(x), to_mx(h), to_mx(c), *weights(cell)), cell(x, (h, c)))

    cell = torch.nn.GRUCell(5, 7, bias)
    check(helper("gru_cell")(to_mx(x), to_mx(h), *weights(cell)), cell(x, h))

    cell = torch.nn.RNNCell(5, 7, bias)
    check(helper("rnn_cell")(to_mx(x), to_mx(h), *weights(cell)), cell(x, h))

    cell = torch.nn.RNNCell(5, 7, bias, nonlinearity="relu")
    out = helper("rnn_cell")(to_mx(x), to_mx(h), *weights(cell), nonlinearity=nn.relu)
    check(out, cell(x, h))
