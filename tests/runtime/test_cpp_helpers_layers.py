"""C++ activations, norms, convolutions, pooling, recurrent layers, beside the Python ones."""

import re
from dataclasses import dataclass, field
from typing import Any

import cpp_program
import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_unflatten
from torch_reference import helper

pytestmark = pytest.mark.skipif(cpp_program.COMPILER is None, reason="there is no C++ compiler")

DTYPES = {"float32": mx.float32, "bfloat16": mx.bfloat16, "float16": mx.float16}
TOLERANCE = {"float32": 1e-6, "bfloat16": 8e-3, "float16": 1e-3}  # of the largest magnitude
RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> mx.array:
    return mx.array(RANDOM.standard_normal(shape).astype(np.float32))


@dataclass
class Case:
    """A C++ expression and what it must equal: a function of the same inputs, or a layer."""

    name: str
    cpp: str
    reference: Any
    inputs: list[mx.array] = field(default_factory=list)


def ones(x: mx.array) -> mx.array:
    return mx.abs(x) + 0.5


X = [normal(3, 8) * 4]
EDGES = [mx.array([0.0, 1e-4, -1e-4, 3.0, -3.0, 19.9, 20.1, -100, 100, mx.inf, -mx.inf])]
PAIR = [normal(3, 8), normal(3, 8) * 3]

# name in C++ (a number in it: another call of the same), arguments as C++, the Python
ACTIVATIONS = [
    *[Case(name, f"nn::{name}(x[0])", getattr(nn, name), X) for name in (
        "relu", "relu6", "silu", "gelu", "gelu_approx", "glu", "hardswish", "leaky_relu",
        "log_sigmoid", "log_softmax", "mish", "softplus", "tanh",
    )],
    *[Case(f"{name} edges", f"nn::{name}(x[0])", getattr(nn, name), EDGES) for name in (
        "relu", "relu6", "log_sigmoid", "softplus", "tanh",
    )],
    Case("glu axis", "nn::glu(x[0], 0)", lambda x: nn.glu(x, 0), [normal(4, 3)]),
    Case("leaky_relu slope", "nn::leaky_relu(x[0], 0.2f)", lambda x: nn.leaky_relu(x, 0.2), X),
    Case("log_softmax axis", "nn::log_softmax(x[0], 0)", lambda x: nn.log_softmax(x, 0), X),
    Case("prelu", "nn::prelu(x[0], x[1])", nn.prelu, [normal(3, 8), normal(8)]),
    *[Case(name, f"nn::{name}(x[0])", helper(name), X) for name in ("celu", "elu", "selu", "hardsigmoid")],
    Case("celu alpha", "nn::celu(x[0], 0.7f)", lambda x: helper("celu")(x, 0.7), X),
    Case("elu options", "nn::elu(x[0], 1.5f, 1.1f, 0.9f)", lambda x: helper("elu")(x, 1.5, 1.1, 0.9), X),
    Case("softplus beta", "nn::softplus(x[0], 2.0f)", lambda x: helper("softplus")(x, 2.0), X),
    Case("softplus both", "nn::softplus(x[0], 2.0f, 3.0f)", lambda x: helper("softplus")(x, 2.0, 3.0), X),
]  # fmt: skip

INTS = [mx.array([[5, -3, 2], [7, 1, -8]])]
BOOLS = [mx.array([True, False])]


def operators(name: str, inputs: list[mx.array]) -> list[Case]:
    """Python's results decide: the code below is read in both languages."""
    texts = [
        "x + N(2)", "N(2) - x", "x * N(0.5)", "x / N(3)", "N(1.5) / x", "x % N(3)", "x == N(2)",
        "x != N(1)", "N(1) < x", "x <= N(0.5)", "x > N(True)", "x >= N(1)", "x * N(True)",
    ]  # fmt: skip
    whole = ["x & N(3)", "x | N(3)", "x ^ N(1)", "x << N(1)", "x >> N(1)"] if name == "int" else []
    return [
        Case(
            f"operator {name} {text}",
            text.replace("N", "nn::Scalar").replace("x", "x[0]").replace("True", "true"),
            lambda x, t=text: eval(t, {"x": x, "N": lambda n: n}),
            inputs,
        )
        for text in texts + whole
    ]


SCALARS = [
    *operators("float", X),
    *operators("int", INTS),
    *operators("bool", [mx.array([True, False])]),
    *[
        case
        for name in ("maximum", "minimum", "remainder", "logaddexp", "power")
        for case in (
            Case(f"{name} arrays", f"nn::{name}(x[0], x[1])", getattr(mx, name), [ones(PAIR[0]), PAIR[1]]),
            Case(f"{name} right", f"nn::{name}(x[0], nn::Scalar(0.7f))", lambda x, n=name: getattr(mx, n)(x, 0.7), [ones(X[0])]),
            Case(f"{name} left", f"nn::{name}(nn::Scalar(2), x[0])", lambda x, n=name: getattr(mx, n)(2, x), X),
            Case(f"{name} int", f"nn::{name}(x[0], nn::Scalar(1.5))", lambda x, n=name: getattr(mx, n)(x, 1.5), [mx.abs(INTS[0])]),
        )
    ],
*[
        case
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift")
        for case in (
            Case(f"{name} right", f"nn::{name}(x[0], nn::Scalar(3))", lambda x, n=name: getattr(mx, n)(x, 3), INTS),
            Case(f"{name} left", f"nn::{name}(nn::Scalar(3), x[0])", lambda x, n=name: getattr(mx, n)(3, x), [mx.array([1, 2], mx.uint8)]),
        )
    ],
    Case("where arrays", "nn::where(x[0] > nn::Scalar(0), x[0], x[1])", lambda x, y: mx.where(x > 0, x, y), PAIR),
    Case("where right", "nn::where(x[0] > nn::Scalar(0), x[0], nn::Scalar(0.5f))", lambda x: mx.where(x > 0, x, 0.5), X),
    Case("where left", "nn::where(x[0] > nn::Scalar(0), nn::Scalar(1), x[0])", lambda x: mx.where(x > 0, 1, x), X),
    Case("where floats", "nn::where(x[0] > nn::Scalar(0), nn::Scalar(0.0f), nn::Scalar(-3.4028234663852886e38f))", lambda x: mx.where(x > 0, 0.0, -3.4028234663852886e38), X),
    Case("where ints", "nn::where(x[0] > nn::Scalar(0), nn::Scalar(1), nn::Scalar(false))", lambda x: mx.where(x > 0, 1, False), X),
    Case("clip", "nn::clip(x[0], nn::Scalar(-1.5f), nn::Scalar(2))", lambda x: mx.clip(x, -1.5, 2), X),
    Case("clip low", "nn::clip(x[0], nn::Scalar(0.5f), std::nullopt)", lambda x: mx.clip(x, 0.5, None), X),
    Case("clip high", "nn::clip(x[0], std::nullopt, x[1])", lambda x, y: mx.clip(x, None, y), PAIR),
    Case("clip int", "nn::clip(x[0], nn::Scalar(0.5f), nn::Scalar(2))", lambda x: mx.clip(x, 0.5, 2), INTS),
    Case("fmod", "nn::fmod(x[0], x[1])", helper("fmod"), PAIR),
    Case("fmod number", "nn::fmod(x[0], nn::Scalar(-0.75f))", lambda x: helper("fmod")(x, -0.75), X),
    Case("floor_divide", "nn::floor_divide(x[0], x[1])", helper("floor_divide"), PAIR),
    Case("floor_divide number", "nn::floor_divide(x[0], nn::Scalar(0.1f))", lambda x: helper("floor_divide")(x, 0.1), X),
    Case("floor_divide negative", "nn::floor_divide(x[0], nn::Scalar(-0.75f))", lambda x: helper("floor_divide")(x, -0.75), X),
]  # fmt: skip

IMAGE = normal(2, 5, 6, 8)
NORM = [IMAGE, normal(8), normal(8)]


def with_parameters(name: str, options: str = "") -> Any:
    function = helper(name)
    return lambda x, w, b: function(x, *eval(f"({options})"), weight=w, bias=b)


NORMS = [
    Case("affine", "nn::affine(x[0], x[1])", helper("affine"), [normal(2, 3, 8), normal(5, 8)]),
    Case("affine bias", "nn::affine(x[0], x[1], x[2])", helper("affine"), [normal(2, 3, 8), normal(5, 8), normal(5)]),
    Case("batch_norm", "nn::batch_norm(x[0], x[1], x[2], x[3], x[4], 1e-3f)", lambda x, *p: helper("batch_norm")(x, *p, eps=1e-3), [IMAGE, normal(8), ones(normal(8)), normal(8), normal(8)]),
    Case("batch_norm plain", "nn::batch_norm(x[0], x[1], x[2])", helper("batch_norm"), [IMAGE, normal(8), ones(normal(8))]),
    Case("batch_norm of batch", "nn::batch_norm(x[0], std::nullopt, std::nullopt, x[1])", lambda x, w: helper("batch_norm")(x, weight=w), [IMAGE, normal(8)]),
    Case("group_norm", "nn::group_norm(x[0], 4, x[1], x[2])", with_parameters("group_norm", "4,"), NORM),
    Case("group_norm plain", "nn::group_norm(x[0], 2)", lambda x: helper("group_norm")(x, 2), [IMAGE]),
    Case("instance_norm", "nn::instance_norm(x[0], x[1], x[2])", with_parameters("instance_norm"), NORM),
    Case("instance_norm plain", "nn::instance_norm(x[0])", helper("instance_norm"), [IMAGE]),
    Case("layer_norm", "nn::layer_norm(x[0], 2, x[1], x[2], 1e-3f)", lambda x, w, b: helper("layer_norm")(x, 2, w, b, 1e-3), [IMAGE, normal(6, 8), normal(6, 8)]),
    Case("layer_norm plain", "nn::layer_norm(x[0], 1)", lambda x: helper("layer_norm")(x, 1), [IMAGE]),
    *[Case(f"weight_norm {axis}", f"nn::weight_norm(x[0], x[1], {cpp})", lambda v, g, a=axis: helper("weight_norm")(v, g, a), [normal(4, 5, 3), g]) for axis, cpp, g in ((0, "0", ones(normal(4, 1, 1))), (-1, "-1", ones(normal(1, 1, 3))), (None, "std::nullopt", ones(normal(1))))],
    Case("masked_attention", "nn::masked_attention(x[0], x[1], x[2], x[3], 0.5f)", lambda q, k, v, m: helper("masked_attention")(q, k, v, m, 0.5), [normal(1, 2, 4, 8), normal(1, 2, 5, 8), normal(1, 2, 5, 8), mx.array(RANDOM.random((4, 5)) > 0.5) & mx.array([[True], [True], [False], [True]])]),
    *[Case(f"{name} {k}", f"nn::{name}(x[0], {cpp})", lambda x, n=name, a=args: helper(n)(x, *a), [IMAGE]) for name in ("var", "std") for k, (cpp, args) in enumerate({
        "-1": (-1,), "{1, 2}, 0.0f, true": ((1, 2), 0, True), "std::nullopt": (None,), "0, 3.0f": (0, 3),
    }.items())],
    *[Case(f"vector_norm {ord}", f"nn::vector_norm(x[0], {cpp}, {{1, -1}}, true)", lambda x, o=ord: helper("vector_norm")(x, o, (1, -1), True), [IMAGE]) for ord, cpp in ((0, "0"), (1, "1"), (2, "2"), (3, "3"), (0.5, "0.5f"), (mx.inf, "INFINITY"), (-mx.inf, "-INFINITY"))],
    Case("vector_norm all", "nn::vector_norm(x[0])", helper("vector_norm"), [IMAGE]),
]  # fmt: skip

SPATIAL = {1: (9,), 2: (9, 8), 3: (5, 6, 4)}


def convolution(rank: int, options: str, groups: int = 1, transposed: bool = False) -> Case:
    """The options are Python's keyword arguments, in the order of the C++ parameters."""
    name = f"conv{'_transpose' if transposed else ''}{rank}d"
    values = eval(f"dict({options})")
    lists = [str(v).replace("(", "{").replace(")", "}") for v in values.values()]
    weight = normal(6, *(3,) * rank, 4 // groups)
    return Case(
        f"{name} {options}",
        f"nn::{name}({', '.join(['x[0]', 'x[1]', *lists])})",
        lambda x, w: getattr(mx, name)(x, w, **values),
        [normal(2, *SPATIAL[rank], 4), weight],
    )


GROUPED = {
    "conv3d": ("2, 1", {"stride": 2, "padding": 1}),
    "conv_transpose3d": ("{2, 2, 2}, 1, 1, 1", {"stride": (2, 2, 2), "padding": 1, "output_padding": 1}),
}  # fmt: skip
CALL = "[](const mx::array& x, const mx::array& w) { return nn::%s(x, w, %s); }"
CONVOLUTIONS = [
    *[convolution(r, "", transposed=t) for r in (1, 2, 3) for t in (False, True)],
    convolution(1, "stride=2, padding=1, dilation=2, groups=2", groups=2),
    convolution(2, "stride=2, padding=(1, 2), dilation=1, groups=2", groups=2),
    convolution(3, "stride=(1, 2, 1), padding=1, dilation=1"),
    convolution(1, "stride=2, padding=1, dilation=1, output_padding=1", transposed=True),
    convolution(2, "stride=(2, 3), padding=1, dilation=1, output_padding=(1, 0), groups=2", groups=2, transposed=True),
    convolution(3, "stride=2, padding=0, dilation=1, output_padding=1", transposed=True),
    *[
        Case(f"grouped_conv {name}", f"nn::grouped_conv({CALL % (name, cpp)}, x[0], x[1], 2)", lambda x, w, n=name, o=options: helper("grouped_conv")(getattr(mx, n), x, w, 2, **o), [normal(2, 5, 6, 4, 4), normal(6, 3, 3, 3, 2)])
        for name, (cpp, options) in GROUPED.items()
    ],
]  # fmt: skip


def pooling(name: str, rank: int, options: str, **values: Any) -> Case:
    """One kernel, stride, padding for each axis, then the options in both languages."""
    kernel, stride, padding = (3, 2, 3)[:rank], (2, 3, 1)[:rank], (1, 0, 1)[:rank]
    braces = ", ".join("{" + ", ".join(map(str, v)) + "}" for v in (kernel, stride, padding))
    return Case(
        f"{name}{rank} {options}",
        f"nn::{name}(x[0], {braces}{options})",
        lambda x: helper(name)(x, kernel, stride, padding, **values),
        [normal(2, *SPATIAL[rank], 4)],
    )


SIZES = {1: ["{4}", "{3}"], 2: ["{3, 5}", "{std::nullopt, 4}", "{1, 1}"], 3: ["{2, 4, 3}"]}
POOLS = [
    *[pooling(n, r, "") for r in (1, 2, 3) for n in ("avg_pool", "max_pool", "max_pool_with_indices")],
    *[pooling(n, 2, ", std::nullopt, true", ceil_mode=True) for n in ("max_pool", "max_pool_with_indices")],
    *[pooling(n, 1, ", {2}", dilation=(2,)) for n in ("max_pool", "max_pool_with_indices")],
    *[pooling("max_pool", 2, ", {2, 1}", dilation=(2, 1))],
    pooling("avg_pool", 2, ", true", ceil_mode=True),
    pooling("avg_pool", 2, ", true, false", ceil_mode=True, count_include_pad=False),
    pooling("avg_pool", 1, ", false, true, 5", divisor_override=5),
    Case("max_pool int", "nn::max_pool(x[0], {2}, {1}, {1})", lambda x: helper("max_pool")(x, (2,), (1,), (1,)), [INTS[0][..., None]]),
    Case("max_unpool", "nn::max_unpool(x[0], x[1], {4, 4})", lambda x, i: helper("max_unpool")(x, i, (4, 4)), [normal(1, 2, 2, 1), mx.array([0, 6, 9, 15], mx.int64).reshape(1, 2, 2, 1)]),
    *[
        Case(f"{name} {size}", f"nn::{name}(x[0], {size})", lambda x, n=name, s=size: helper(n)(x, eval(s.replace("{", "(").replace("}", ",)").replace("std::nullopt", "None"))), [normal(2, *SPATIAL[rank], 4)])
        for name in ("adaptive_avg_pool", "adaptive_max_pool", "adaptive_max_pool_with_indices")
        for rank, sizes in SIZES.items()
        for size in sizes
    ],
]  # fmt: skip

CELL = [normal(3, 5), normal(3, 4), normal(3, 4)]


def cell_weights(gates: int) -> list[mx.array]:
    return [normal(gates * 4, 5), normal(gates * 4, 4), normal(gates * 4), normal(gates * 4)]


SEQUENCE, STATE = normal(6, 2, 5), normal(2, 2, 4)
TWO = "{{x[1], x[2], x[3], x[4]}, {x[5], x[6], x[7], x[8]}}"


def both_ways(name: str, **options: Any) -> Any:
    """Runs x with zeros-free states of two directions; the C++ has the same weights."""

    def call(x: mx.array, *weights: mx.array) -> Any:
        state = [STATE.astype(x.dtype)] * (2 if name == "run_lstm" else 1)
        return helper(name)(x, *state, [weights[:4], weights[4:]], True, **options)

    return call


def running(name: str, gates: int, states: str, end: str, **options: Any) -> Case:
    cpp = f"nn::{name}(x[0], {states}, {TWO}, true{end})"
    args = [SEQUENCE, *cell_weights(gates), *cell_weights(gates), STATE]
    reference = both_ways(name, **options)
    return Case(f"{name} {end}", cpp, lambda *a: reference(*a[:-1]), args)


CELLS = [
    Case("lstm_gates", "nn::lstm_gates(x[0], x[1])", helper("lstm_gates"), [normal(3, 16), normal(3, 4)]),
    Case("gru_gates", "nn::gru_gates(x[0], x[1], x[2])", helper("gru_gates"), [normal(3, 12), normal(3, 12), normal(3, 4)]),
    Case("lstm_cell", "nn::lstm_cell(x[0], x[1], x[2], x[3], x[4], x[5], x[6])", helper("lstm_cell"), [*CELL, *cell_weights(4)]),
    Case("gru_cell", "nn::gru_cell(x[0], x[1], x[2], x[3], x[4], x[5])", helper("gru_cell"), [*CELL[:2], *cell_weights(3)]),
    Case("gru_cell plain", "nn::gru_cell(x[0], x[1], x[2], x[3])", helper("gru_cell"), [*CELL[:2], *cell_weights(3)[:2]]),
    Case("rnn_cell", "nn::rnn_cell(x[0], x[1], x[2], x[3], x[4], x[5])", helper("rnn_cell"), [*CELL[:2], *cell_weights(1)]),
    Case("rnn_cell relu", "nn::rnn_cell(x[0], x[1], x[2], x[3], std::nullopt, std::nullopt, nn::relu)", lambda *a: helper("rnn_cell")(*a, nonlinearity=nn.relu), [*CELL[:2], *cell_weights(1)[:2]]),
    running("run_lstm", 4, "x[9], x[9]", ""),
    running("run_gru", 3, "x[9]", ""),
    running("run_rnn", 1, "x[9]", ""),
    running("run_rnn", 1, "x[9]", ", nn::relu", nonlinearity=nn.relu),
    running("run_lstm", 4, "x[9], x[9]", ", false, mx::array({4, 6})", lengths=mx.array([4, 6])),
    running("run_gru", 3, "x[9]", ", false, mx::array({6, 1})", lengths=mx.array([6, 1])),
    running("run_rnn", 1, "x[9]", ", nn::tanh, false, mx::array({0, 9})", lengths=mx.array([0, 9])),
    Case("run_lstm batch_first", "nn::run_lstm(x[0], x[1], x[1], {{x[2], x[3], std::nullopt, std::nullopt, std::nullopt}}, false, true)", lambda x, h, i, j: helper("run_lstm")(x, h, h, [(i, j, None, None, None)], False, True), [normal(2, 6, 5), normal(1, 2, 4), *cell_weights(4)[:2]]),
]  # fmt: skip


def layer(cls: str, args: str, x: mx.array, call: str = "(x[0])", **options: Any) -> Case:
    """`args`: of the constructor, in C++; a number of them is Python's too, then `options`."""
    kind = helper(cls) if cls in ("LSTM", "GRU", "RNN") else getattr(nn, cls)
    python = [p for p in args.split(";")[0].split(", ") if p]
    module = kind(*map(int, python), **options)
    text = ", ".join(["weights", 'prefix + "layer"', *filter(None, args.split(";"))])
    return Case(f"{cls} {args} {call}", f"nn::{cls}({text}){call}", module, [x])


SIGNAL, CUBE = normal(2, 9, 4), normal(2, 5, 6, 4, 4)
PHOTO = normal(2, 9, 8, 4)
LAYERS = [
    layer("Linear", "8, 5", normal(2, 3, 8)),
    layer("Linear", "8, 5;false", normal(2, 3, 8), bias=False),
    layer("Embedding", "10, 4", mx.array([[1, 9], [0, 3]])),
    layer("LayerNorm", "8", IMAGE),
    layer("LayerNorm", "8;1e-3f, true, false", IMAGE, eps=1e-3, bias=False),
    layer("LayerNorm", "8;1e-3f, false", IMAGE, eps=1e-3, affine=False),
    layer("RMSNorm", "8;1e-6f", IMAGE, eps=1e-6),
    layer("BatchNorm", "8", IMAGE),
    layer("BatchNorm", "8;1e-3f, 0.1f, false", IMAGE, eps=1e-3, affine=False),
    layer("BatchNorm", "8;1e-5f, 0.1f, true, false", IMAGE, track_running_stats=False),
    layer("GroupNorm", "4, 8;1e-5f, true, true", IMAGE, pytorch_compatible=True),
    layer("GroupNorm", "4, 8", IMAGE),
    layer("GroupNorm", "2, 8;1e-5f, false, true", IMAGE, affine=False, pytorch_compatible=True),
    layer("InstanceNorm", "8;1e-3f, true", IMAGE, eps=1e-3, affine=True),
    layer("InstanceNorm", "8", IMAGE),
    layer("Conv1d", "4, 6, 3", SIGNAL),
    layer("Conv1d", "4, 6, 3, 2, 1, 2, 2;false", SIGNAL, bias=False),
    layer("Conv2d", "4, 6, 3", PHOTO),
    layer("Conv2d", "4, 6;{3, 2}, {2, 1}, {1, 0}, 1, 2, false", PHOTO, kernel_size=(3, 2), stride=(2, 1), padding=(1, 0), groups=2, bias=False),
    layer("Conv3d", "4, 6, 3, 1, 1", CUBE),
    layer("Conv3d", "4, 6;{3, 2, 1}, 2, 0, 1, false", CUBE, kernel_size=(3, 2, 1), stride=2, bias=False),
    layer("ConvTranspose1d", "4, 6, 3, 2, 1, 1, 1", SIGNAL),
    layer("ConvTranspose2d", "4, 6, 3, 2, 1, 1, 1", PHOTO),
    layer("ConvTranspose2d", "4, 6;{3, 2}, {2, 3}, 0, 1, {1, 0}, false", PHOTO, kernel_size=(3, 2), stride=(2, 3), output_padding=(1, 0), bias=False),
    layer("ConvTranspose3d", "4, 6, 3, 2", CUBE),
    *[layer(f"{kind}Pool{rank}d", args, x) for rank, x in ((1, SIGNAL), (2, PHOTO), (3, CUBE)) for kind in ("Max", "Avg") for args in ("2", "3, 2", "3, 2, 1")],
    layer("MaxPool2d", ";{3, 2}, {2, 1}, {1, 0}", PHOTO, kernel_size=(3, 2), stride=(2, 1), padding=(1, 0)),
    layer("LSTM", "5, 4", SEQUENCE),
    layer("LSTM", "5, 4, 2;true, true, true, 3", SEQUENCE, bidirectional=True, batch_first=True, proj_size=3),
    layer("LSTM", "5, 4;1, false", SEQUENCE[:, 0], bias=False),
    layer("GRU", "5, 4, 2;true, true", SEQUENCE, bidirectional=True),
    layer("GRU", "5, 4;2, false, false, true", SEQUENCE, num_layers=2, bias=False, batch_first=True),
    layer("RNN", "5, 4", SEQUENCE),
    layer('RNN', '5, 4;2, "relu", true, true', SEQUENCE, num_layers=2, nonlinearity="relu", bidirectional=True),
]  # fmt: skip
READS = [
    layer("Embedding", "10, 4", normal(2, 3, 4), call=".as_linear(x[0])"),
    layer("Embedding", "10, 4", mx.array([1, 9]), call=".weight()"),
    layer("Linear", "8, 5;false", normal(2, 3, 8), call=".weight()", bias=False),
]

CASES = [*ACTIVATIONS, *SCALARS, *NORMS, *CONVOLUTIONS, *POOLS, *CELLS, *LAYERS, *READS]
BY_NAME = {case.name: case for case in CASES}


def randomized(module: nn.Module) -> dict[str, mx.array]:
    """Random parameters, which the module gets too; variances are positive."""
    parameters = [
        (name, ones(normal(*p.shape)) if name.endswith("running_var") else normal(*p.shape) * 0.5)
        for name, p in tree_flatten(module.parameters())
    ]
    module.update(tree_unflatten(parameters))
    return dict(parameters)


PARAMETERS = {
    case.name: randomized(case.reference) for case in CASES if isinstance(case.reference, nn.Module)
}


def cast(array: mx.array, dtype: mx.Dtype) -> mx.array:
    return array.astype(dtype) if mx.issubdtype(array.dtype, mx.floating) else array


QUANTIZED = {
    "Linear quantized": 'nn::Linear(weights, prefix + "layer", 64, 5)(x[0])',
    "Linear quantized plain": 'nn::Linear(weights, prefix + "layer", 64, 5, false)(x[0])',
    "Embedding quantized": 'nn::Embedding(weights, prefix + "layer", 10, 64)(x[0])',
    "Embedding quantized head": 'nn::Embedding(weights, prefix + "layer", 10, 64).as_linear(x[0])',
}
BROKEN = {
    "absent": 'nn::Linear(weights, "nothing", 8, 5)(x[0])',
    "shape": 'nn::Linear(weights, prefix + "layer", 8, 6)(x[0])',
    "dtype": 'nn::Linear(weights, prefix + "layer", 8, 5)(x[0])',
    "bits": 'nn::Linear(weights, prefix + "layer", 64, 5)(x[0])',
    "groups": "nn::GroupNorm(weights, prefix, 3, 8, 1e-5f, false)(x[0])",
    "pool": "nn::max_pool(x[0], {9}, {1}, {0})",
    "sizes": "nn::max_pool(x[0], nn::Size<2>(std::vector<int>{3}), {1}, {0})",
}


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cpp_layers")
    cases = {case.name: case.cpp for case in CASES} | QUANTIZED | BROKEN
    helpers = {name for text in cases.values() for name in re.findall(r"nn::(\w+)", text)}
    return cpp_program.build(folder, cases, sorted(helpers))


@pytest.fixture(scope="session")
def outputs(program):
    inputs = {
        f"{case.name}/{name}": [cast(x, dtype) for x in case.inputs]
        for case in CASES
        for name, dtype in DTYPES.items()
    }
    parameters = {
        f"{case}/{variant}/layer.{name}": value.astype(dtype)
        for case, tensors in PARAMETERS.items()
        for name, value in tensors.items()
        for variant, dtype in DTYPES.items()
    }
    return cpp_program.run(program[0], inputs, parameters)


def flat(result: Any) -> list[mx.array]:
    if isinstance(result, (list, tuple)):
        return [array for item in result for array in flat(item)]
    return [result]


def python_results(case: Case, dtype: mx.Dtype) -> list[mx.array]:
    call = case.reference
    if isinstance(call, nn.Module):
        call.update(
            tree_unflatten([(n, v.astype(dtype)) for n, v in PARAMETERS[case.name].items()])
        )
        if case.cpp.endswith(".weight()"):
            return [call.weight]
        call = call.eval().as_linear if "as_linear" in case.cpp else call.eval()
    return flat(call(*(cast(x, dtype) for x in case.inputs)))


def difference(actual: mx.array, expected: mx.array) -> float:
    """Of all elements, relative to the largest finite magnitude; the same infinities and NaNs."""
    a, b = (np.array(x.astype(mx.float32), dtype=np.float64) for x in (actual, expected))
    finite = np.isfinite(b)
    np.testing.assert_array_equal(np.where(finite, 0, a), np.where(finite, 0, b))
    a, b = np.where(finite, a, 0), np.where(finite, b, 0)
    return float(np.max(np.abs(a - b), initial=0) / np.max(np.abs(b), initial=1e-30))


@pytest.mark.parametrize("variant", DTYPES)
@pytest.mark.parametrize("name", BY_NAME)
def test_same_as_python(outputs, name, variant):
    actual = outputs[f"{name}/{variant}"]
    assert not isinstance(actual, str), actual
    expected = python_results(BY_NAME[name], DTYPES[variant])
    assert [(a.dtype, a.shape) for a in actual] == [(e.dtype, e.shape) for e in expected]
    for a, e in zip(actual, expected):
        assert difference(a, e) <= TOLERANCE[variant]


def test_no_warnings(program):
    assert program[1] == ""


@pytest.mark.parametrize("variant", DTYPES)
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("group_size", [32, 64])
def test_quantized(program, bits, group_size, variant):
    dtype = DTYPES[variant]
    linear, embedding = nn.Linear(64, 5), nn.Embedding(10, 64)
    linear.bias = normal(5)
    x, ids = normal(2, 3, 64).astype(dtype), mx.array([[1, 9, 0]])
    modules = {"Linear": linear, "Embedding": embedding}
    for module in modules.values():
        module.set_dtype(dtype)
    modules = {name: m.to_quantized(group_size, bits) for name, m in modules.items()}
    plain = linear.to_quantized(group_size, bits)
    plain.pop("bias")
    expected = {
        "Linear quantized": modules["Linear"](x),
        "Linear quantized plain": plain(x),
        "Embedding quantized": modules["Embedding"](ids),
        "Embedding quantized head": modules["Embedding"].as_linear(x),
    }
    inputs = {f"{name}/q": [ids if name == "Embedding quantized" else x] for name in expected}
    tensors = {
        f"{name}/q/layer.{key}": value
        for name in expected
        for key, value in tree_flatten(modules[name.split()[0]].parameters())
    }
    config = {"quantization": {"bits": bits, "group_size": group_size}}
    outputs = cpp_program.run(program[0], inputs, tensors, config)
    for name, value in expected.items():
        assert not isinstance(outputs[f"{name}/q"], str), outputs[f"{name}/q"]
        (actual,) = outputs[f"{name}/q"]
        assert (actual.dtype, actual.shape) == (value.dtype, value.shape)
        assert difference(actual, value) <= TOLERANCE[variant]


MESSAGES = {
    "absent": "weights have no tensor 'nothing.weight', expected float32 (5, 8)",
    "shape": "tensor 'shape/a/layer.weight' is float32 (5, 8), expected float32 (6, 8)",
    "dtype": "tensor 'dtype/a/layer.weight' is int32 (5, 8), expected float32 (5, 8)",
    "bits": "'bits/a/layer' cannot have 4 bits in groups of 48",
    "groups": "'groups/a/': 8 channels do not make 3 groups",
    "pool": "pooling window of 9 does not fit into axis 1 of size 4",
    "sizes": "expected 2 sizes, got 1",
}


def test_errors_name_what_is_wrong(program):
    tensors = {
        "shape/a/layer.weight": mx.zeros((5, 8)),
        "dtype/a/layer.weight": mx.zeros((5, 8), mx.int32),
        "bits/a/layer.weight": mx.zeros((5, 8), mx.uint32),
        "bits/a/layer.scales": mx.zeros((5, 1)),
    }
    inputs = {f"{name}/a": [normal(2, 4, 8)] for name in BROKEN}
    config = {"quantization": {"bits": 4, "group_size": 48}}
    outputs = cpp_program.run(program[0], inputs, tensors, config)
    assert outputs == {f"{name}/a": message for name, message in MESSAGES.items()}


def test_broken_files(program, tmp_path):
    whole = tmp_path / "whole.safetensors"
    mx.save_safetensors(str(whole), {"weight": mx.ones((2, 3))}, {"config": '{"a": [1, 2.5]}'})
    data = whole.read_bytes()
    broken = {
        "is truncated": [b"", data[:6], data[:40], b"\xff" * 8 + data[8:]],
        "'weight' lies beyond the end of the file": [data[:-1]],
        "'weight' takes 24 bytes, its shape needs 36": [data.replace(b"[2,3]", b"[3,3]")],
        "'weight' has the dtype 'F99', which MLX does not read": [data.replace(b'"F32"', b'"F99"')],
        "'weight' has an impossible shape": [data.replace(b"[2,3]", b"[0.5]")],
        "invalid JSON": [data.replace(b"{", b"<", 1), data.replace(b"[2,3]", b"[2,3}")],
    }
    messages = []
    files = [whole]
    for message, contents in broken.items():
        for content in contents:
            messages.append(message)
            files.append(tmp_path / f"{len(files)}.safetensors")
            files[-1].write_bytes(content)
    found = cpp_program.load(program[0], [*files, tmp_path / "nothing"])
    assert found[0] == ""
    for message, text, file in zip(messages, found[1:-1], files[1:]):
        assert str(file) in text and message in text
    assert found[-1] == f"cannot open '{tmp_path / 'nothing'}'"
