"""Calls of ATen ops: (overload, arguments, keywords), at least one for every row of the table.

Sizes 5 and 7 are free in the symbolic run of each case; other sizes are fixed.
"""

from __future__ import annotations

import math

import torch

torch.manual_seed(0)
f32, i64, boolean = torch.float32, torch.int64, torch.bool


def R(*shape):
    return torch.randn(*shape)


def P(*shape):
    """Positive."""
    return torch.rand(*shape) + 0.1


def I(*shape, low=-5, high=6):  # noqa: E743
    return torch.randint(low, high, shape)


def B(*shape):
    return torch.rand(*shape) > 0.5


CASES: list[tuple] = []
REFUSED: list[tuple] = []


def case(name, *args, **kwargs):
    CASES.append((name, args, kwargs))


def refused(name, *args, **kwargs):
    """The row raises TranspileError."""
    REFUSED.append((name, args, kwargs))


# ---- arithmetic
for name in (
    "add",
    "sub",
    "subtract",
    "mul",
    "multiply",
    "div",
    "divide",
    "true_divide",
    "floor_divide",
    "remainder",
    "fmod",
    "pow",
    "float_power",
    "atan2",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "hypot",
    "copysign",
    "logaddexp",
):
    left = P(5, 7) * 3 if "pow" in name else R(5, 7) * 3
    overload = {"pow": ".Tensor_Tensor", "float_power": ".Tensor_Tensor"}.get(
        name,
        ""
        if name
        in ("atan2", "maximum", "minimum", "fmax", "fmin", "hypot", "logaddexp", "floor_divide")
        else ".Tensor",
    )
    case(name + overload, left, P(7) + 0.3)
for name in (
    "add",
    "sub",
    "mul",
    "div",
    "floor_divide",
    "remainder",
    "fmod",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
):
    overload = "" if name == "floor_divide" else ".Tensor"
    case(name + overload, I(5, 7), I(7, low=1))
for name in (
    "eq",
    "ne",
    "not_equal",
    "lt",
    "less",
    "le",
    "less_equal",
    "gt",
    "greater",
    "ge",
    "greater_equal",
):
    case(f"{name}.Tensor", I(5, 7), I(7))
    case(f"{name}.Scalar", I(5, 7), 0.5)
    case(f"{name}.Scalar", R(5), 0.1)
case("add.Tensor", R(5, 7), I(7))
case("add.Tensor", R(5, 7), torch.tensor(2, dtype=i64))
case("add.Tensor", I(5), torch.tensor(2.5))
case("add.Tensor", B(5), B(5))
case("add.Tensor", R(5), R(5), alpha=2)
case("add.Tensor", R(5).half(), torch.tensor(2.5))
case("add.Tensor", R(5).bfloat16(), R(5))
case("add.Scalar", I(5), 2)
case("add.Scalar", I(5), 0.5)
case("add.Scalar", B(5), 1)
case("add.Scalar", R(5), 2, 3)
case("sub.Tensor", R(5), R(5), alpha=2)
case("rsub.Scalar", R(5), 1.5)
case("rsub.Scalar", I(5), 1.5, 2)
case("rsub.Tensor", R(5), R(5))
case("mul.Scalar", I(5), 0.5)
case("mul.Tensor", B(5), R(5))
case("mul.Tensor", B(5), B(5))
case("div.Tensor", I(5), I(5, low=1))
case("div.Scalar", I(5), 2)
for values in ((R(5) * 5, P(5)), (I(5, low=-20, high=20), I(5, low=1))):
    for mode in (None, "floor", "trunc"):
        case("div.Tensor_mode", *values, rounding_mode=mode)
case("div.Scalar_mode", I(7, low=-20, high=20), -3, rounding_mode="trunc")
case("div.Tensor_mode", torch.tensor([1.0]), torch.tensor([0.1]), rounding_mode="floor")
case("remainder.Scalar", I(5), -3)
case("remainder.Scalar", R(5) * 5, 2.0)
case("fmod.Scalar", R(5) * 5, 2.0)
case("fmod.Scalar", I(5), 2.5)
case("pow.Tensor_Scalar", P(5), 0.5)
case("pow.Tensor_Scalar", I(5), 2)
case("pow.Tensor_Scalar", R(5), 3)
case("pow.Scalar", 2, I(5, low=0))
case("pow.Scalar", 2.5, R(5))
case("max.other", R(5), R(5))
case("min.other", R(5), R(5))
for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
    case(f"{name}.Scalar", I(5), 3)
    case(f"{name}.Scalar_Tensor", 3, I(5))
for name in ("__and__", "__or__", "__xor__"):
    case(f"{name}.Tensor", B(5, 7), B(7))
for name in ("bitwise_left_shift", "bitwise_right_shift"):
    case(f"{name}.Tensor", I(5, low=0), I(5, low=0, high=3))
    case(f"{name}.Scalar_Tensor", 6, I(5, low=0, high=3))
for name in ("__lshift__", "__rshift__"):
    case(f"{name}.Scalar", I(5, low=0), 2)
for name in ("logical_and", "logical_or", "logical_xor"):
    case(name, R(5), B(5))
    case(name, I(5, low=-1, high=2), B(5))
for name in ("bitwise_not", "logical_not"):
    case(name, B(5))
case("bitwise_not", I(5))
case("logical_not", I(5, low=-1, high=2))
for name in ("isposinf", "isneginf"):
    case(name, torch.tensor([1.0, math.inf, -math.inf, math.nan]))
case("ldexp.Tensor", R(5), I(5))
for name in ("lgamma", "special_gammaln", "digamma", "special_digamma"):
    case(name, P(5, 7) * 3)
case("special_exp2", R(5))
case("special_round", R(5) * 9, decimals=1)
case("heaviside", I(5).float(), R(5))
case("xlogy.Tensor", torch.tensor([0.0, 1.0, 2.0]), P(3))
case("special_xlogy", P(5), P(5))

# ---- functions of one tensor
_DOMAIN = {
    "acos": P(5, 7) / 2,
    "asin": P(5, 7) / 2,
    "arccos": P(5) / 2,
    "arcsin": P(5) / 2,
    "atanh": P(5) / 2,
    "arctanh": P(5) / 2,
    "acosh": P(5) + 1,
    "arccosh": P(5) + 1,
    "erfinv": torch.rand(5) * 1.8 - 0.9,
    "special_erfinv": torch.rand(5) * 1.8 - 0.9,
    "logit": P(5) / 2,
    "special_logit": P(5) / 2,
    "special_log1p": P(5),
    **dict.fromkeys(("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal"), P(5, 7)),
}
for name in [
    "exp",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "asin",
    "acos",
    "atan",
    "asinh",
    "acosh",
    "atanh",
    "erf",
    "arcsin",
    "arccos",
    "arctan",
    "arcsinh",
    "arccosh",
    "arctanh",
    "special_erf",
    "special_expm1",
    "special_log1p",
    "exp2",
    "rsqrt",
    "reciprocal",
    "sigmoid",
    "special_expit",
    "logit",
    "special_logit",
    "erfc",
    "special_erfc",
    "erfinv",
    "special_erfinv",
    "sinc",
    "special_sinc",
    "deg2rad",
    "rad2deg",
    "neg",
    "negative",
    "abs",
    "absolute",
    "positive",
    "sign",
    "sgn",
    "floor",
    "ceil",
    "trunc",
    "fix",
    "round",
    "frac",
    "square",
    "isnan",
    "isinf",
    "isfinite",
    "nan_to_num",
    "relu",
    "relu6",
    "silu",
    "mish",
    "hardswish",
    "hardsigmoid",
    "log_sigmoid",
    "gelu",
    "leaky_relu",
    "elu",
    "selu",
    "celu",
    "hardtanh",
    "softplus",
    "hardshrink",
    "softshrink",
    "alias",
    "clone",
    "contiguous",
    "detach",
    "lift_fresh",
    "lift_fresh_copy",
    "lift",
    "cpu",
    "detach_copy",
    "alias_copy",
    "resolve_conj",
    "resolve_neg",
]:
    case(name, _DOMAIN.get(name, R(5, 7) * 2))
for name in ("exp", "sqrt", "tanh", "sigmoid", "cos"):
    case(name, I(5, low=1))
for name in (
    "floor",
    "ceil",
    "trunc",
    "round",
    "isnan",
    "isinf",
    "isfinite",
    "neg",
    "abs",
    "sign",
    "relu",
):
    case(name, I(5))
for name in ("cuda", "requires_grad_", "_conj_physical", "data", "pin_memory"):
    case(name, R(5))
case("round.decimals", R(5), decimals=2)
case("isnan", torch.tensor([1.0, math.nan]))
case("nan_to_num", torch.tensor([1.0, math.nan, math.inf, -math.inf]), 1.0, 2.0, 3.0)
case("logit", torch.rand(5), 0.1)
case("log_sigmoid_forward", R(5))
case("gelu", R(5, 7), approximate="tanh")
case("leaky_relu", R(5), 0.2)
case("elu", R(5), 1.5)
case("elu", R(5), 1.5, 1.1, 0.9)
case("celu", R(5), 2.0)
case("prelu", R(2, 3, 5), P(3))
case("prelu", R(2, 3), P(1))
case("_prelu_kernel", R(5, 3), P(3))
case("glu", R(5, 6))
case("glu", R(6, 5), 0)
case("hardtanh", R(5), -0.5, 0.5)
case("rrelu", R(5))
refused("rrelu", R(5), 0.1, 0.3, True)
case("threshold", R(5), 0.1, 20.0)
case("softplus", R(5), 2.0, 1.0)
case("clamp", R(5), -0.5, 0.5)
case("clamp", R(5), None, 0.5)
case("clamp", I(5), -0.5, None)
case("clamp.Tensor", R(5), R(5) - 1, R(5) + 1)
case("clip", R(5), -0.5)
case("clamp_min", R(5), 0.1)
case("clamp_max", R(5), 0.1)
case("addcmul", R(5), R(5), R(5), value=2)
case("addcdiv", R(5), R(5), P(5))
case("lerp.Scalar", R(5), R(5), 0.3)
case("lerp.Tensor", R(5), R(5), P(5))
case("where.self", B(5, 7), R(5, 7), R(7))
case("where.self", B(5), R(5), I(5))
case("where.ScalarOther", B(5), R(5), 0.0)
case("where.ScalarSelf", B(5), -1.0, R(5))
case("where.Scalar", B(5), 1.0, 0.0)
case("masked_fill.Scalar", R(5, 7), B(7), -math.inf)
case("masked_fill.Tensor", R(5, 7), B(5, 7), torch.tensor(2.0))

# ---- casts and copies
case("to.dtype", R(5) * 3, i64)
case("to.dtype", I(5), boolean)
case("to.device", R(5), "cpu", torch.float16)
case("to.dtype_layout", I(5), dtype=f32)
case("to.other", I(5), R(1))
case("to.prim_dtype", R(5), None)
case("to.prim_Device", R(5), "cpu", None)
case("to.prim_other", R(5))
case("type_as", I(5), R(1))
case("_to_copy", R(5), dtype=torch.int32)
case("_autocast_to_full_precision", R(5), False, False)
case("_autocast_to_reduced_precision", R(5), False, False, f32, f32)
case("copy", R(5, 7), I(7))
case("fill.Scalar", R(5), 2)
case("fill.Tensor", R(5), torch.tensor(3.0))
for name in (
    "dropout",
    "feature_dropout",
    "alpha_dropout",
    "feature_alpha_dropout",
    "native_dropout",
):
    case(name, R(5, 7), 0.5, False)
    refused(name, R(5, 7), 0.5, True)
case("bucketize.Tensor", R(5, 7), torch.tensor([-1.0, 0.0, 1.0]))
case("bucketize.Tensor", I(5), torch.tensor([-1, 0, 3]), right=True, out_int32=True)
case("searchsorted.Tensor", torch.tensor([-1.0, 0.0, 1.0]), R(5, 7))
case("searchsorted.Tensor", torch.sort(R(5, 4)).values, R(5, 7), right=True)
case("isin.Tensor_Tensor", I(5, 7), torch.tensor([1, 2]))
case("isin.Tensor_Tensor", I(5, 7), torch.tensor([[1], [2]]), invert=True)
case("isin.Tensor_Scalar", I(5), 2)

# ---- shapes
case("view", R(5, 6), [5, 2, -1])
case("view_copy", R(5, 6), [-1, 3])
case("_unsafe_view", R(5, 7, 4), [5, 7, 2, 2])
case("reshape", R(5, 7, 4), [-1, 4])
case("_reshape_copy", R(5, 6), [5, 6])
case("_reshape_alias", R(5, 6), [5, 2, 3], [6, 3, 1])
case("view_as", R(5, 6), R(5, 2, 3))
case("reshape_as", R(5, 6), R(5, 2, 3))
case("flatten.using_ints", R(5, 7, 4), 1, 2)
case("flatten.using_ints", torch.tensor(1.0))
case("ravel", R(5, 7))
case("unflatten.int", R(5, 6), 1, [2, -1])
case("transpose.int", R(5, 7, 4), -1, 1)
case("transpose_copy.int", R(5, 7), 0, 1)
for name in ("swapaxes", "swapdims"):
    case(name, R(5, 7, 4), 0, 2)
case("t", R(5, 7))
case("t_copy", R(5))
case("numpy_T", R(5, 7, 4))
for name in ("adjoint", "mT"):
    case(name, R(5, 7, 4))
case("matrix_H", R(5, 7))
case("permute", R(5, 7, 4), [2, 0, -2])
case("permute_copy", R(5, 7), [1, 0])
case("movedim.int", R(5, 7, 4), 0, -1)
case("movedim.intlist", R(5, 7, 4, 3), [0, 1], [2, 0])
case("moveaxis.int", R(5, 7, 4), 2, 0)
case("unsqueeze", R(5, 7), -1)
case("unsqueeze_copy", R(5, 7), 1)
case("squeeze", R(1, 5, 1))
case("squeeze.dim", R(1, 5, 1), -1)
case("squeeze.dim", R(1, 5, 1), 1)
case("squeeze.dims", R(1, 5, 1), [0, 2])
case("squeeze_copy", R(1, 5, 1))
case("expand", R(5, 1), [3, -1, 7])
case("expand", R(5, 7), [-1, -1])
case("expand_copy", R(5, 1), [5, 7])
case("expand_as", R(5, 1), R(5, 7))
case("broadcast_to", R(5, 1), [5, 7])
case("broadcast_tensors", [R(5, 1), R(1, 7)])
case("repeat", R(5, 7), [2, 1, 3])
case("tile", R(5, 7), [2])
case("repeat_interleave.self_int", R(5, 7), 2, 1)
case("repeat_interleave.self_int", R(5, 7), 3)
case("repeat_interleave.self_Tensor", R(3), torch.tensor([1, 2, 3]), output_size=6)
case("slice.Tensor", R(5, 7), 1, 1, 9223372036854775807, 2)
case("slice.Tensor", R(5, 7), 0, -2, 3)
case("slice.Tensor", R(5, 7), 0, 0, -1)
case("slice_copy.Tensor", R(5, 7), 1, None, 4)
case("select.int", R(5, 7), 1, -1)
case("select_copy.int", R(5, 7), 0, 2)
case("narrow", R(5, 7), 1, 2, 3)
case("narrow_copy", R(5, 7), 1, -3, 2)
case("split.Tensor", R(5, 6), 4, 1)
case("split.sizes", R(5, 6), [1, 2, 3], -1)
case("split_with_sizes", R(5, 6), [1, 5], 1)
case("split_copy.Tensor", R(6, 5), 2)
case("split_with_sizes_copy", R(6, 5), [2, 4])
case("unsafe_split.Tensor", R(6, 5), 2)
case("unsafe_split_with_sizes", R(6, 5), [2, 4])
case("chunk", R(5, 6), 4, 1)
case("chunk", R(5, 7), 2, 1)
case("unsafe_chunk", R(5, 6), 2, 1)
case("tensor_split.sections", R(6, 5), 4)
case("tensor_split.sections", R(6, 7), 3, 1)
case("tensor_split.indices", R(6, 5), [1, 4])
case("unbind.int", R(3, 5))
case("unbind_copy.int", R(5, 3), 1)
case("diagonal", R(5, 7))
case("diagonal", R(3, 4, 5), 1, -2, -1)
case("diagonal_copy", R(4, 4), -1)
case("unfold", R(5, 7), 1, 3, 2)
case("unfold", R(7, 5), 0, 3, 1)
case("unfold_copy", R(5, 7), 1, 2, 1)
case("cat", [R(5, 7), I(5, 3)], -1)
case("cat", [R(0), R(5, 7)])
case("concat", [R(5, 7), R(5, 7)])
case("concatenate", [R(5, 7), R(5, 7)], 1)
case("stack", [R(5, 7), R(5, 7)], -1)
case("hstack", [R(5), R(7)])
case("hstack", [R(5, 3), R(5, 4)])
case("vstack", [R(5), R(5)])
case("dstack", [R(5, 7), R(5, 7)])
for name in ("atleast_1d", "atleast_2d", "atleast_3d"):
    case(name, torch.tensor(1.0))
    case(name, R(5))
    case(name, R(5, 7))
case("meshgrid.indexing", [R(5), R(7)], indexing="xy")
case("meshgrid", [R(5), R(7)])
case("constant_pad_nd", R(5, 7), [1, 2, 0, 1], 2.0)
case("constant_pad_nd", R(5, 7), [-1, 1])
case("constant_pad_nd", R(5, 7), [0, 0, -1, -1])
case("constant_pad_nd", B(5, 7), [1, 0], 1)
for mode in ("reflect", "replicate", "circular"):
    case("pad", R(2, 3, 5), [2, 1], mode)
    case("pad", R(2, 3, 5, 7), [2, 1, 1, 2], mode)
case("pad", R(5, 7), [1, 1], "constant", 3.0)
case("_pad_circular", R(2, 3, 5), [2, 1])
for n, x in ((1, R(2, 3, 5)), (2, R(2, 3, 5, 7)), (3, R(2, 3, 4, 5, 6))):
    case(f"reflection_pad{n}d", x, [2, 1] * n)
    case(f"replication_pad{n}d", x, [2, 1] * n)
case("flip", R(5, 7), [0, -1])
case("fliplr", R(5, 7))
case("flipud", R(5, 7))
case("roll", R(5, 7), [1, -2], [0, 1])
case("roll", R(5, 7), [3])
for k in (1, 2, 3):
    case("rot90", R(5, 7), k)
case("as_strided", R(4, 6), [2, 2, 6], [12, 6, 1])
case("as_strided", R(4, 6), [2, 2], [1, 6])
case("as_strided", R(4, 6), [3, 2, 5], [2, 1, 4], 1)
case("as_strided", R(4, 10), [4, 3, 4], [10, 3, 1])
case("as_strided", R(20), [5, 8], [3, 1], 0)
case("as_strided", R(2, 3, 4, 5), [2, 3, 4, 4], [60, 20, 4, 1], 4)
case("pixel_shuffle", R(2, 8, 5, 7), 2)
case("pixel_unshuffle", R(2, 2, 4, 6), 2)
for name in ("channel_shuffle", "native_channel_shuffle"):
    case(name, R(2, 6, 5), 3)
case("diff", R(5, 7))
case("diff", I(5, 7), 2, 0)
case("diff", B(5, 7))
case("diff", R(5, 7), 1, -1, R(5, 1))

# ---- creation
case("arange", 7)
case("arange", 7, dtype=f32)
case("arange.start", 2, 7)
case("arange.start_step", 5, 0, -2)
case("arange.start_step", 0.0, 1.0, 0.1)
case("range.step", 1, 7, 2)
for name in ("zeros", "ones"):
    case(name, [5, 7])
    case(name, [5], dtype=i64)
for name in ("zeros_like", "ones_like"):
    case(name, R(5, 7))
    case(name, R(5), dtype=boolean)
case("empty.memory_format", [5, 7])
case("empty_strided", [5, 7], [7, 1])
case("empty_permuted", [5, 7], [0, 1])
case("empty_like", R(5, 7))
case("full", [5, 7], 1.5)
case("full", [5], 7)
case("full", [], True)
case("full", [5], 0.5, dtype=torch.complex64)
case("full_like", R(5), 2)
for name in ("new_zeros", "new_ones", "new_empty"):
    case(name, I(5), [3, 7])
case("new_full", R(5), [3], 2)
case("new_empty_strided", R(5), [3, 7], [7, 1])
case("zero", R(5))
case("scalar_tensor", 1.5)
case("scalar_tensor", 2, dtype=i64)
case("linspace", 0, 1, 5)
case("logspace", 0, 2, 3)
case("eye", 5)
case("eye.m", 3, 5)
case("tril", R(5, 7))
case("tril", B(7, 7), -1)
case("triu", R(2, 5, 7), 1)
case("tril_indices", 3, 4, 1)
case("triu_indices", 4, 4)
case("one_hot", I(5, 7, low=0, high=4), 4)
for name in ("hann_window", "hamming_window", "blackman_window"):
    case(name, 8)
    case(f"{name}.periodic", 8, False)

# ---- random numbers: the row's graph is given what torch drew
for name in ("rand", "randn"):
    case(name, [5, 7])
    case(name, [5], dtype=torch.float64)
    case(name, [5], dtype=torch.float16)
case("randn", [5], dtype=torch.complex64)
for name in ("rand_like", "randn_like"):
    case(name, R(5, 7))
    case(name, I(5), dtype=f32)
case("normal_", R(5, 7), 0.5, 2.0)
case("normal_functional", R(5, 7), 0.5, 2.0)
case("normal.float_float", 0.5, 2.0, [5, 7])
case("normal.Tensor_float", R(5, 7), 2.0)
case("normal.float_Tensor", 0.5, P(7))
case("normal.Tensor_Tensor", R(5, 1), P(7))
case("uniform", R(5, 7))
case("uniform", R(5, 7).double(), -2.0, 3.0)
case("exponential", R(5, 7))
case("exponential", R(5, 7), 0.5)
case("randint", 9, [5, 7])
case("randint.low", -9, 9, [5, 7], dtype=f32)
case("randint_like", R(5, 7), 9)
case("randint_like.low_dtype", I(5, 7), -9, 9)
case("randint.low_generator", -9, 9, [5, 7], generator=None)
case("randint_like.low_generator_dtype", R(5, 7), -9, 9, generator=None)
case("random.to", I(5, 7), 9)
case("random.from", R(5, 7), -9, 9)
case("bernoulli", P(5, 7) / 2)
case("bernoulli.p", R(5, 7), 0.3)
case("bernoulli.Tensor", R(5, 7), torch.rand(7))
case("multinomial", P(5, 7), 1)
case("multinomial", P(7), 9, True)
refused("multinomial", P(5), 2)
refused("randint", 2**40, [5])
refused("randperm", 5)
refused("poisson", P(5))
refused("random_", R(5))
refused("log_normal_", R(5))
refused("geometric_", R(5), 0.5)
refused("cauchy_", R(5))

# ---- products
case("linear", R(5, 7, 4), R(3, 4), R(3))
case("linear", R(5, 4), R(3, 4))
case("linear", R(5, 4), R(4))
case("matmul", R(5, 7, 4), R(4, 3))
case("matmul", R(5, 4), R(4))
case("matmul", I(5, 4), I(4, 3))
case("linalg_matmul", R(5, 4), R(4, 3))
case("mm", R(5, 4), R(4, 7))
case("bmm", R(5, 3, 4), R(5, 4, 7))
case("mv", R(5, 4), R(4))
case("dot", R(5), R(5))
case("vdot", R(5), R(5))
case("inner", R(5), R(5))
case("addmm", R(7), R(5, 4), R(4, 7))
case("addmm", R(5, 7), R(5, 4), R(4, 7), beta=0.5, alpha=2.0)
case("addmv", R(5), R(5, 4), R(4))
case("baddbmm", R(5, 3, 7), R(5, 3, 4), R(5, 4, 7))
case("addbmm", R(3, 7), R(5, 3, 4), R(5, 4, 7))
case("addr", R(5, 7), R(5), R(7))
case("outer", R(5), R(7))
case("ger", R(5), R(7))
case("linalg_cross", R(5, 3), R(5, 3))
case("cross", R(3, 5), R(3, 5))
case("_grouped_mm", R(7, 16), R(3, 16, 8), torch.tensor([2, 2, 7], dtype=torch.int32))
case("_grouped_mm", R(3, 4, 16), R(3, 16, 8))
case("einsum", "bij,bjk->bik", [R(5, 7, 4), R(5, 4, 3)])
case("einsum", "ij,jk", [R(5, 4), R(4, 3)])
case("einsum", "...ij,...jk->...ik", [R(5, 2, 7, 4), R(2, 4, 3)])
case("einsum", "b...,b...", [R(5, 7, 2), R(5, 7, 2)])
case("einsum", "i...->...", [R(5, 7)])
case("tensordot", R(5, 3, 4), R(4, 3, 2), [1, 2], [1, 0])
case("bilinear", R(5, 3), R(5, 4), R(2, 3, 4), R(2))
for p in (0.0, 1.0, 2.0, 3.0, math.inf):
    case("cdist", R(5, 4), R(7, 4), p)
case("kron", R(5, 3), R(2, 7))
case("kron", R(4), I(2, 3))
for name in ("inverse", "linalg_inv", "linalg_inv_ex"):
    case(name, R(7, 3, 3) + 4 * torch.eye(3))
case("_cdist_forward", R(5, 4), R(7, 4), 2.0, None)
case("_euclidean_dist", R(5, 4), R(7, 4))
case("pdist", R(4, 3))
case("_pdist_forward", R(4, 3), 1.0)

# ---- attention
q, k, v = R(2, 4, 5, 8), R(2, 4, 7, 8), R(2, 4, 7, 6)
case("scaled_dot_product_attention", q, k, v)
case("scaled_dot_product_attention", q, k, v, B(5, 7) | torch.eye(5, 7).bool())
case("scaled_dot_product_attention", q, k, v, R(2, 1, 5, 7), scale=0.3)
case("scaled_dot_product_attention", q, k, v, None, 0.0, True)
case("scaled_dot_product_attention", q, q, q, None, 0.0, True)
case("scaled_dot_product_attention", q, R(2, 2, 7, 8), R(2, 2, 7, 8), enable_gqa=True)
case("scaled_dot_product_attention", R(2, 5, 8), R(2, 7, 8), R(2, 7, 8), R(2, 5, 7))
case("scaled_dot_product_attention", R(5, 8), R(7, 8), R(7, 8))
case("scaled_dot_product_attention", R(3, 2, 4, 5, 8), R(3, 2, 4, 7, 8), R(3, 2, 4, 7, 8))
refused("scaled_dot_product_attention", q, k, v, None, 0.5)
case("_scaled_dot_product_attention_math", q, k, v)
case(
    "_scaled_dot_product_flash_attention_for_cpu",
    q,
    k,
    R(2, 4, 7, 8),
    0.0,
    False,
    attn_mask=R(2, 1, 5, 7),
)
case("_scaled_dot_product_flash_attention", q, k, R(2, 4, 7, 8), 0.0, False)
case("_scaled_dot_product_efficient_attention", q, k, R(2, 4, 7, 8), R(2, 1, 5, 7), False)
case("_scaled_dot_product_cudnn_attention", q, k, R(2, 4, 7, 8), None, False)
case("_scaled_dot_product_fused_attention_overrideable", q, k, R(2, 4, 7, 8))
_x, _mask = R(2, 5, 8), torch.tensor([[False, False, True, False, False]] * 2)
_mha = (8, 2, R(24, 8), R(24), R(8, 8), R(8))
case("_native_multi_head_attention", _x, _x, _x, *_mha)
case("_native_multi_head_attention", _x, _x, _x, *_mha, _mask, False, True, 1)
case(
    "_native_multi_head_attention",
    _x,
    _x,
    _x,
    *_mha,
    torch.triu(torch.ones(5, 5), 1).bool(),
    True,
    False,
    0,
)
_layer = (8, 2, R(24, 8), R(24), R(8, 8), R(8))
_tail = (1e-5, R(8), R(8), R(8), R(8), R(16, 8), R(16), R(8, 16), R(8))
case("_transformer_encoder_layer_fwd", _x, *_layer, True, False, *_tail)
case("_transformer_encoder_layer_fwd", _x, *_layer, False, True, *_tail, _mask, 1)

# ---- norms
case("layer_norm", R(5, 7, 8), [8], R(8), R(8))
case("layer_norm", R(5, 7, 8), [8])
case("layer_norm", R(5, 3, 8), [3, 8], R(3, 8), R(3, 8), 1e-6)
case("native_layer_norm", R(5, 8), [8], R(8), None, 1e-5)
case("rms_norm", R(5, 8), [8], R(8), 1e-6)
case("rms_norm", R(5, 8), [8])
case("_fused_rms_norm", R(5, 8), [8], R(8), 1e-6)
_bn = (R(3), R(3), R(3), P(3))
case("batch_norm", R(5, 3, 4, 7), *_bn, False, 0.1, 1e-5, True)
case("batch_norm", R(5, 3), None, None, *_bn[2:], False, 0.1, 1e-3, True)
case("batch_norm", R(5, 3, 4), *_bn[:2], None, None, True, 0.1, 1e-5, True)
refused("batch_norm", R(5, 3, 4), *_bn, True, 0.1, 1e-5, True)
case("_native_batch_norm_legit", R(5, 3, 4), *_bn, False, 0.1, 1e-5)
case("native_batch_norm", R(5, 3, 4), *_bn, False, 0.1, 1e-5)
case("_native_batch_norm_legit.no_stats", R(5, 3, 4), *_bn[:2], True, 0.1, 1e-5)
case("_native_batch_norm_legit_no_training", R(5, 3, 4), *_bn, 0.1, 1e-5)
case("cudnn_batch_norm", R(5, 3, 4), *_bn, False, 0.1, 1e-5)
case("_batch_norm_no_update", R(5, 3, 4), *_bn, 0.1, 1e-5)
refused("_batch_norm_with_update", R(5, 3, 4), *_bn, 0.1, 1e-5)
case("instance_norm", R(5, 3, 7), R(3), R(3), None, None, True, 0.1, 1e-5, True)
case("instance_norm", R(5, 3, 7), None, None, *_bn[2:], False, 0.1, 1e-5, True)
case("group_norm", R(5, 6, 4, 7), 3, R(6), R(6))
case("group_norm", R(5, 6), 2)
case("native_group_norm", R(2, 6, 4, 7), R(6), R(6), 2, 6, 28, 3, 1e-5)
case("softmax.int", R(5, 7), -1)
case("softmax.int", R(5, 7).half(), 0, f32)
case("softmax.int", torch.tensor(1.0), 0)
case("log_softmax.int", R(5, 7), 1)
case("special_softmax", R(5, 7), 1)
case("special_log_softmax", R(5, 7), 1)
case("_softmax", R(5, 7), 1, False)
case("_log_softmax", R(5, 7), 1, False)
case("_safe_softmax", R(5, 7), 1)
case("_weight_norm", R(3, 4, 2), P(3, 1, 1), 0)
case("_weight_norm_interface", R(3, 4, 2), P(3, 1, 1), 0)

# ---- recurrent layers


def _flat(cls, *sizes, **options):
    torch.manual_seed(1)
    return [p.detach() for p in cls(*sizes, **options)._flat_weights]


_z = torch.zeros
case(
    "lstm.input",
    R(5, 7, 4),
    [_z(4, 5, 6), _z(4, 5, 6)],
    _flat(torch.nn.LSTM, 4, 6, 2, bidirectional=True),
    True,
    2,
    0.0,
    False,
    True,
    True,
)
case(
    "lstm.input",
    R(7, 5, 4),
    [R(1, 5, 6), R(1, 5, 6)],
    _flat(torch.nn.LSTM, 4, 6, bias=False),
    False,
    1,
    0.0,
    False,
    False,
    False,
)
case(
    "lstm.input",
    R(7, 5, 4),
    [R(1, 5, 3), R(1, 5, 6)],
    _flat(torch.nn.LSTM, 4, 6, proj_size=3),
    True,
    1,
    0.0,
    False,
    False,
    False,
)
case(
    "gru.input",
    R(7, 5, 4),
    R(2, 5, 6),
    _flat(torch.nn.GRU, 4, 6, 2),
    True,
    2,
    0.0,
    False,
    False,
    False,
)
case(
    "gru.input",
    R(5, 7, 4),
    _z(2, 5, 6),
    _flat(torch.nn.GRU, 4, 6, bidirectional=True),
    True,
    1,
    0.0,
    False,
    True,
    True,
)
for name in ("rnn_tanh", "rnn_relu"):
    case(
        f"{name}.input",
        R(5, 7, 4),
        R(1, 5, 6),
        _flat(torch.nn.RNN, 4, 6),
        True,
        1,
        0.0,
        False,
        False,
        True,
    )
    case(f"{name}_cell", R(5, 4), R(5, 6), R(6, 4), R(6, 6), R(6), R(6))
    refused(
        f"{name}.data",
        R(9, 4),
        I(3),
        R(1, 3, 6),
        _flat(torch.nn.RNN, 4, 6),
        True,
        1,
        0.0,
        False,
        False,
    )
case("lstm_cell", R(5, 4), [R(5, 6), R(5, 6)], R(24, 4), R(24, 6), R(24), R(24))
case("gru_cell", R(5, 4), R(5, 6), R(18, 4), R(18, 6), None, None)
refused(
    "lstm.data",
    R(9, 4),
    I(3),
    [R(1, 3, 6), R(1, 3, 6)],
    _flat(torch.nn.LSTM, 4, 6),
    True,
    1,
    0.0,
    False,
    False,
)
refused(
    "gru.data", R(9, 4), I(3), R(1, 3, 6), _flat(torch.nn.GRU, 4, 6), True, 1, 0.0, False, False
)
case("_pack_padded_sequence", R(5, 3, 4), torch.tensor([5, 3, 1]), False)
case("_pack_padded_sequence", R(3, 6), torch.tensor([4, 2, 2]), True)
refused("_pad_packed_sequence", R(9, 4), I(3), False, 0.0, 5)

# ---- convolution
for n, x in ((1, R(5, 4, 7)), (2, R(2, 4, 9, 8)), (3, R(2, 4, 5, 6, 7))):
    kernel = (3,) * n
    one, two, none = [1] * n, [2] * n, [0] * n
    case(f"conv{n}d", x, R(6, 4, *kernel), R(6), two, one)
    case(f"conv{n}d", x, R(6, 2, *kernel), None, one, none, one, 2)
    case(f"conv{n}d.padding", x, R(6, 4, *(2,) * n), None, [1], "same")
    for padding in ("same", "valid"):
        case("_convolution_mode", x, R(6, 4, *(2,) * n), R(6), [1] * n, padding, [1] * n, 1)
    case(
        f"conv_transpose{n}d" + (".input" if n > 1 else ""),
        x,
        R(4, 6, *kernel),
        R(6),
        two,
        one,
        one,
    )
    case(
        f"conv_transpose{n}d" + (".input" if n > 1 else ""),
        x,
        R(4, 3, *kernel),
        R(6),
        two,
        none,
        none,
        2,
    )
case("conv1d.padding", R(5, 4, 7), R(6, 4, 3), None, [1], "valid")
case("stft.center", R(2, 64), 16, pad_mode="circular", return_complex=True)
case("conv1d", R(4, 7), R(6, 4, 3))
case("conv2d", R(2, 4, 9, 8), R(4, 1, 3, 3), R(4), [1, 2], [2, 0], [2, 1], 4)
case("convolution", R(2, 4, 9, 8), R(6, 2, 3, 3), None, [2, 1], [1, 0], [1, 2], False, [0, 0], 2)
case("convolution", R(2, 4, 5, 6), R(4, 3, 3, 3), R(6), [2, 2], [1, 1], [1, 1], True, [1, 1], 2)
case(
    "_convolution",
    R(5, 4, 7),
    R(6, 4, 3),
    R(6),
    [1],
    [1],
    [1],
    False,
    [0],
    1,
    False,
    False,
    True,
    True,
)
case("convolution_overrideable", R(5, 4, 7), R(6, 4, 3), R(6), [1], [1], [1], False, [0], 1)
case("mkldnn_convolution", R(2, 4, 9, 8), R(6, 4, 3, 3), R(6), [1, 1], [2, 2], [1, 1], 1)
case("conv_tbc", R(7, 5, 4), R(3, 4, 6), R(6), 1)

# ---- pooling
for n, x in ((1, R(5, 3, 9)), (2, R(2, 3, 9, 8)), (3, R(2, 3, 6, 5, 7))):
    case(f"max_pool{n}d", x, [3] * n, [2] * n, [1] * n)
    case(f"max_pool{n}d", x, [2] * n)
    case(f"max_pool{n}d", x, [3] * n, [2] * n, [1] * n, [1] * n, True)
    case(f"max_pool{n}d", x, [2] * n, [1] * n, [0] * n, [2] * n)
    case(f"max_pool{n}d_with_indices", x, [3] * n, [2] * n, [1] * n)
    case(f"avg_pool{n}d", x, [3] * n, [2] * n, [1] * n)
    case(f"avg_pool{n}d", x, [3] * n, [2] * n, [1] * n, True, False)
    case(f"adaptive_avg_pool{n}d", x, [1] * n)
    case(f"adaptive_avg_pool{n}d", x, [4] * n)
    case(f"adaptive_max_pool{n}d", x, [2] * n)
    case(f"adaptive_max_pool{n}d", x, [1] * n)
    if n > 1:
        case(f"_adaptive_avg_pool{n}d", x, [3] * n)
        case(f"avg_pool{n}d", x, [2] * n, [], [0] * n, True, True, 3)
        values, places = getattr(torch.nn.functional, f"max_pool{n}d")(x, 2, return_indices=True)
        size = [list(x.shape[2:])] + ([[2] * 3, [0] * 3] if n == 3 else [])
        case(f"max_unpool{n}d", values, places, *size)
case("max_pool2d", R(3, 9, 8), [3, 2], [2, 1])

# ---- resizing
for n, mode, x in (
    (1, "linear", R(5, 3, 7)),
    (2, "bilinear", R(2, 3, 5, 7)),
    (3, "trilinear", R(2, 3, 4, 5, 6)),
):
    up, down, odd = [int(s * 2) for s in x.shape[2:]], [3] * n, [1.7] * n
    case(f"upsample_nearest{n}d.vec", x, None, [2.0] * n)
    case(f"upsample_nearest{n}d.vec", x, down, None)
    case(f"upsample_nearest{n}d.vec", x, None, odd)
    case(f"upsample_nearest{n}d", x, up)
    case(f"_upsample_nearest_exact{n}d.vec", x, None, odd)
    case(f"upsample_{mode}{n}d.vec", x, None, False, [2.0] * n)
    case(f"upsample_{mode}{n}d.vec", x, down, True, None)
    case(f"upsample_{mode}{n}d.vec", x, None, False, odd)
    case(f"upsample_{mode}{n}d", x, up, False)
case("upsample_bicubic2d.vec", R(2, 3, 5, 7), [8, 9], False, None)
case("upsample_bicubic2d.vec", R(2, 3, 5, 7), None, True, [2.0, 1.5])
for mode in ("bilinear", "bicubic"):
    case(f"_upsample_{mode}2d_aa", R(2, 3, 9, 7), [4, 3], False)
    case(f"_upsample_{mode}2d_aa.vec", R(2, 3, 9, 7), [4, 9], True, None)
    case(f"_upsample_{mode}2d_aa.vec", R(2, 3, 9, 8), None, False, [0.5, 0.7])
for mode in (0, 1, 2):
    for padding in (0, 1, 2):
        case(
            "grid_sampler_2d",
            R(2, 3, 5, 7),
            torch.rand(2, 4, 4, 2) * 2.6 - 1.3,
            mode,
            padding,
            bool(mode % 2),
        )
case("grid_sampler", R(2, 3, 5, 7), torch.rand(2, 4, 4, 2) * 2.6 - 1.3, 0, 0, False)
case("grid_sampler_3d", R(2, 3, 4, 5, 6), torch.rand(2, 3, 3, 3, 3) * 2.6 - 1.3, 0, 0, True)
case("affine_grid_generator", R(2, 2, 3), [2, 3, 4, 6], True)
case("affine_grid_generator", R(2, 2, 3), [2, 3, 4, 6], False)
case("affine_grid_generator", R(2, 3, 4), [2, 3, 4, 1, 2], True)
case("affine_grid_generator", R(2, 3, 4), [2, 3, 4, 1, 2], False)
case("im2col", R(2, 3, 7, 6), [3, 2], [1, 2], [1, 0], [2, 1])
case(
    "col2im",
    torch.nn.functional.unfold(R(2, 2, 5, 6), (2, 3), 1, 1, 2),
    [5, 6],
    [2, 3],
    [1, 1],
    [1, 1],
    [2, 2],
)

# ---- reductions
case("sum", R(5, 7))
case("sum", B(5, 7))
case("sum.dim_IntList", R(5, 7), [0])
case("sum.dim_IntList", I(5, 7).int(), [1], True)
case("sum.dim_IntList", R(5, 7), None)
case("sum.dim_IntList", R(5, 7), [])
case("sum.dim_IntList", R(5, 7).half(), [1], dtype=f32)
case("nanmean", torch.tensor([[1.0, math.nan], [2.0, 3.0]]), [1])
case("nansum", torch.tensor([1.0, math.nan]))
case("prod", P(5, 7))
case("prod.dim_int", I(5, 7, low=1, high=3), 1)
case("mean", R(5, 7))
case("mean", I(5, 7), dtype=f32)
case("mean.dim", R(5, 7), [1], True)
case("mean.dim", R(5, 7, 4), [0, -1])
refused("mean.dim", I(5, 7), [1])
case("amax", R(5, 7))
case("amax", I(5, 7), [1], True)
case("amin", R(5, 7), [0])
case("max", R(5, 7))
case("min", I(5, 7))
for name in ("max", "min"):
    case(f"{name}.dim", R(5, 7), 1)
    case(f"{name}.dim", I(5, 7), 0, True)
case("aminmax", R(5, 7), dim=1)
for name in ("argmax", "argmin"):
    case(name, R(5, 7))
    case(name, R(5, 7), -1, True)
    case(name, I(5, 7), 0)
    case(name, R(5, 7), None, True)
for name in ("any", "all"):
    case(name, B(5, 7))
    case(name, R(5, 7))
    case(f"{name}.dim", B(5, 7), 1, True)
    case(f"{name}.dims", B(5, 7), [0, 1])
for name in ("var", "std"):
    case(name, R(5, 7))
    case(name, R(5, 7), False)
    case(f"{name}.dim", R(5, 7), [1], False, True)
    case(f"{name}.correction", R(5, 7), [1], correction=0)
    case(f"{name}.correction", R(5, 7))
    case(f"{name}_mean.correction", R(5, 7), [1], correction=0, keepdim=True)
    case(f"{name}_mean.dim", R(5, 7), [1])
case("logsumexp", R(5, 7), [1])
case("special_logsumexp", R(5, 7), [1], True)
case("norm.Scalar", R(5, 7))
case("norm.ScalarOpt_dim", R(5, 7), 2, [1], True)
case("norm.ScalarOpt_dim", R(5, 7), 1, [1])
case("norm.ScalarOpt_dtype", R(5, 7), 2, dtype=f32)
case("frobenius_norm.dim", R(5, 7, 4), [1, 2])
for order in (0, 1, 2, 3.5, math.inf, -math.inf):
    case("linalg_vector_norm", R(5, 7), order, [1], True)
case("linalg_vector_norm", R(5, 7, 4), 2, [0, 1])
case("linalg_norm", R(5, 7), None, [1])
case("linalg_norm", R(5, 7))
for name in ("cumsum", "cumprod"):
    case(name, R(5, 7), 1)
    case(name, I(5, 7), -1)
    case(name, B(5, 7), 0)
case("cumsum", B(5, 7), 0, dtype=torch.int32)
case("logcumsumexp", R(5, 7), 1)
case("cummax", R(5, 7), 1)
case("cummin", I(5, 7), 0)
for name in ("sort", "argsort"):
    case(name, R(5, 7))
    case(name, R(5, 7), 0, True)
case("sort.stable", I(5, 7, low=0, high=3), stable=True, dim=1, descending=True)
case("argsort.stable", I(5, 7, low=0, high=3), stable=True, dim=1)
case("msort", R(5, 7))
case("topk", R(5, 7), 3)
case("topk", R(5, 7), 2, 0, False)
case("kthvalue", R(5, 7), 2)
case("median", R(5, 3))
case("median.dim", R(5, 3), 1, True)
case("median.dim", R(5, 3), 0)
case("count_nonzero", I(5, 7, low=0, high=2))
case("count_nonzero.dim_IntList", I(5, 7, low=0, high=2), [1])
case("cosine_similarity", R(5, 8), R(5, 8))

# ---- losses
for reduction in (0, 1, 2):
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        case(name, R(5, 7), R(5, 7), reduction)
    case("binary_cross_entropy", torch.rand(5, 7), torch.rand(5, 7), None, reduction)
    case("binary_cross_entropy_with_logits", R(5, 7), torch.rand(5, 7), None, P(7), reduction)
    case("kl_div", R(5, 7), torch.rand(5, 7), reduction)
    case("nll_loss", R(5, 8), I(5, low=0, high=8), P(8), reduction, 3)
    case("nll_loss_nd", R(5, 8, 7), I(5, 7, low=0, high=8), None, reduction)
    case("cross_entropy_loss", R(5, 8, 7), I(5, 7, low=0, high=8), P(8), reduction, 2)
case("nll_loss2d", R(5, 8, 7, 3), I(5, 7, 3, low=0, high=8))
case("smooth_l1_loss", R(5, 7), R(5, 7), 1, 0.5)
case("smooth_l1_loss", R(5, 7), R(5, 7), 1, 0.0)
case("huber_loss", R(5, 7), R(5, 7), 1, 0.3)
case("kl_div", R(5, 7), R(5, 7), log_target=True)
case("mse_loss", R(5, 7), R(7))
case("binary_cross_entropy", torch.tensor([0.0, 1.0, 0.5]), torch.tensor([0.0, 0.0, 1.0]))
refused("cross_entropy_loss", R(5, 8), torch.rand(5, 8))
refused("cross_entropy_loss", R(5, 8), I(5, low=0, high=8), label_smoothing=0.1)
case("pairwise_distance", R(5, 8), R(5, 8))
case("histc", R(5, 7), 8, -1, 1)
refused("histc", R(5))
case("trace", R(5, 7))

# ---- sizes that depend on data
for name in ("nonzero", "nonzero_numpy", "argwhere"):
    case(name, I(5, low=0))
    case(name, B(5, 7))
    refused(name, torch.tensor(1))
case("where", B(5, 7))
refused("where", torch.tensor(True))
case("masked_select", R(5, 7), B(5, 7))
case("masked_select", R(5, 7), B(7))
case("_unique2", I(5, 7, low=0), True, True, True)
case("_unique", I(5, 7, low=0), True, True)
case("unique_dim", I(5, 2, low=0, high=2), 0, True, True, True)
case("unique_consecutive", I(7, low=0, high=2), True, True)
refused("unique_consecutive", I(5, 7), dim=0)
case("bincount", I(7, low=0))
case("bincount", I(7, low=0), R(7), 9)
case("bincount", I(5, low=0), I(5), 2)
case("one_hot", I(5, 7, low=0, high=4))
case("repeat_interleave.self_Tensor", R(3), torch.tensor([1, 0, 3]))
case("repeat_interleave.self_Tensor", R(5, 7), torch.tensor([2]), 1)
case("repeat_interleave.self_Tensor", R(5, 7), I(7, low=0, high=3), 1)
case("repeat_interleave.Tensor", I(5, low=0, high=3))

# ---- indices
case("embedding", R(10, 4), I(5, 7, low=0, high=10))
refused("embedding_renorm", R(10, 4), I(5, low=0), 1.0, 2.0)
case("index_select", R(5, 7), 1, I(3, low=0, high=7))
case("take", R(5, 7), I(3, low=0, high=35))
case("gather", R(5, 7), 1, I(5, 3, low=0, high=7))
case("gather", R(4, 6), 0, I(2, 3, low=0, high=4))
case("take_along_dim", R(5, 7), I(5, 7, low=0, high=7), 1)
case("index.Tensor", R(5, 7), [I(3, low=0, high=5), I(3, low=0, high=7)])
case("index.Tensor", R(5, 7), [None, I(2, 2, low=0, high=7)])
case("index.Tensor", R(5, 7, 4), [I(2, low=0, high=5), None, I(2, low=0, high=4)])
case("index.Tensor", R(5, 7, 4), [None, I(2, 1, low=0, high=7), I(3, low=0, high=4)])
case("_unsafe_index.Tensor", R(5, 7), [I(3, low=0, high=5)])
case("index.Tensor", R(5), [B(5)])
case("index.Tensor", R(5, 7, 4), [B(5, 7)])
case("index.Tensor", R(5, 7, 4), [None, B(7)])
case("index.Tensor", R(5, 7, 4), [None, B(7, 4)])
case(
    "index.Tensor",
    R(5, 7, 4),
    [torch.tensor([True, False, True, False, False]), None, I(2, low=0, high=4)],
)
case("index.Tensor", R(5, 7), [torch.tensor([1, 0, 1, 0, 0], dtype=torch.uint8)])
refused("index.Tensor", R(5), [torch.tensor(True)])
case("index_put", R(5, 7), [B(5), torch.tensor(3)], torch.tensor(2.0))
case("index_put", R(5, 7), [torch.tensor([0, 2])], R(2, 7))
case("index_put", R(5, 7), [None, torch.tensor([1, 1])], R(5, 2), True)
case("index_put", R(5, 7), [B(5, 7)], torch.tensor(0.0))
case("index_put", R(5, 7), [B(5)], torch.tensor([2.0]))
case("index_put", R(5, 7), [B(5, 7)], torch.tensor(1.0), True)
case("_unsafe_index_put", R(5, 7), [torch.tensor([0, 2]), torch.tensor([1, 3])], R(2))
case("_index_put_impl", R(5, 7), [torch.tensor([0, 2]), torch.tensor([1, 3])], R(2))
case("index_add", R(5, 7), 1, torch.tensor([1, 1, 3]), R(5, 3), alpha=2)
case("index_copy", R(5, 7), 1, torch.tensor([1, 3]), R(5, 2))
case("index_fill.int_Scalar", R(5, 7), 1, torch.tensor([1, 3]), 2.0)
_places = torch.stack([torch.randperm(7)[:2] for _ in range(5)])
case("scatter.src", R(5, 7), 1, _places, R(5, 2))
case("scatter.value", R(5, 7), 1, _places, 2.5)
case("scatter.reduce", R(5, 7), 1, _places, R(5, 2), reduce="add")
case("scatter_add", R(5, 7), 1, I(5, 3, low=0, high=7), R(5, 4))
for reduce in ("sum", "prod", "mean", "amax", "amin"):
    for include in (True, False):
        case(
            "scatter_reduce.two",
            R(5, 7),
            1,
            I(5, 9, low=0, high=7),
            R(5, 9),
            reduce,
            include_self=include,
        )
for reduce in ("prod", "mean", "amax", "amin"):
    case(
        "index_reduce",
        R(5, 7),
        1,
        I(9, low=0, high=7),
        R(5, 9),
        reduce,
        include_self=reduce != "amin",
    )
case("slice_scatter", R(5, 7), R(5, 2), 1, 1, 3)
case("slice_scatter", R(5, 7), R(5, 3), 1, 1, 9223372036854775807, 2)
case("slice_scatter", R(5, 7), R(2, 7), 0, -2)
case("select_scatter", R(5, 7), R(5), 1, -2)
case("diagonal_scatter", R(4, 4), R(3), 1)
case("masked_scatter", R(5, 7), B(5, 7), R(35))
case("put", R(5, 7), torch.tensor([1, 8]), R(2))
case("diag", R(5))
case("diag", R(5, 7), 1)
case("diag_embed", R(5, 3), 1, 0, 2)
_bag = (R(10, 4), I(7, low=0, high=10), torch.tensor([0, 3, 5]))
for mode in (0, 1, 2):
    case("_embedding_bag", *_bag, False, mode)
case("_embedding_bag", *_bag, False, 0, False, P(7))
case("_embedding_bag_forward_only", *_bag[:2], torch.tensor([0, 3, 7]), False, 0, False, None, True)
case("embedding_bag", *_bag, False, 1)
for mode in (0, 1, 2):
    case(
        "embedding_bag.padding_idx",
        _bag[0],
        torch.tensor([3, 1, 3, 3, 3, 2, 3]),
        _bag[2],
        False,
        mode,
        False,
        None,
        False,
        3,
    )

# ---- transforms
_c = torch.complex(R(5, 8), R(5, 8))
for name in ("fft_fft", "fft_ifft", "fft_irfft"):
    case(name, _c)
    case(name, _c, None, 0, "ortho")
for name in ("fft_fft2", "fft_ifft2", "fft_irfft2", "fft_fftn", "fft_ifftn", "fft_irfftn"):
    case(name, _c)
case("fft_fft", R(5, 8), 6)
case("fft_rfft", R(5, 8), 10, -1, "forward")
case("fft_rfft", R(3, 5), 10)
case("fft_fft", R(3, 7), 6)
case("fft_irfft", _c, 9)
case("fft_rfft2", R(2, 6, 8))
case("fft_rfftn", R(6, 8))
case("_fft_r2c", R(5, 8), [1], 0, True)
case("_fft_r2c", R(5, 8), [1], 1, False)
case("_fft_c2r", torch.fft.rfft(R(5, 8)), [1], 2, 8)
case("_fft_c2c", _c, [1], 0, True)
case("_fft_c2c", _c, [0, 1], 2, False)
for name in ("fft_fftshift", "fft_ifftshift"):
    case(name, R(5, 7), [1])
    case(name, R(5, 8))
case("fft_fftfreq", 7, 0.5)
case("fft_rfftfreq", 8)
case("abs", _c)
case("angle", _c)
case("angle", R(5))
case("real", _c)
case("imag", _c)
for name in ("conj", "_conj", "conj_physical", "_conj_copy"):
    case(name, _c)
for name in ("view_as_complex", "view_as_complex_copy"):
    case(name, R(5, 7, 2))
for name in ("view_as_real", "view_as_real_copy"):
    case(name, _c)
case("complex", R(5), R(5))
case("polar", P(5), R(5))
case("mul.Tensor", _c, _c)
case("mul.Tensor", _c, R(5, 8))
_hann = torch.hann_window(16)
case("stft", R(2, 64), 16, 4, 16, _hann, False, True, True)
case("stft", R(64), 16, None, None, None, True, True, False)
case("stft.center", R(2, 64), 16, 4, 12, torch.hann_window(12), return_complex=True)
_spectra = torch.stft(R(2, 64), 16, 4, 16, _hann, return_complex=True)
case("istft", _spectra, 16, 4, 16, _hann)
case("istft", _spectra, 16, 4, 16, _hann, length=60)

# ---- host
case("size", R(5, 7))
case("size.int", R(5, 7), -1)
case("sym_size.int", R(5, 7), 0)
case("numel", R(5, 7))
case("sym_numel", R(5, 7))
case("stride", R(5, 7))
case("stride.int", R(5, 7), 0)
case("sym_stride.int", R(5, 7), 0)
case("storage_offset", R(5, 7))
case("sym_storage_offset", R(5, 7))
case("dim", R(5, 7))
case("is_floating_point", R(5))
case("is_complex", R(5))
for name in (
    "is_nonzero",
    "item",
    "_local_scalar_dense",
    "Bool.Tensor",
    "Int.Tensor",
    "Float.Tensor",
):
    case(name, torch.tensor(1.0))
    case(name, torch.tensor([[2]]))
refused("item", R(5))
case("equal", I(5), I(5))
case("equal", _same := R(5), _same)
case("equal", R(5), R(4, 5))
_yes = torch.tensor(True)
case("_assert_async.msg", _yes, "yes")
case("_assert_scalar", True, "yes")
case("_assert_tensor_metadata", R(5), [5])
case("_functional_assert_async.msg", _yes, "yes", _yes)
case("_functional_assert_scalar", True, "yes", _yes)
case("_functional_sym_constrain_range", 3, 0, 5, _yes)
case("sym_constrain_range", 3)
case("sym_constrain_range_for_size", 3)
case("_functional_sym_constrain_range_for_size", 3, 0, 5, _yes)
case("warn", "careful")
