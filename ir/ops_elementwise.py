"""Elementwise ops: arithmetic, comparison, logic, functions of one array, casts, selection."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .op import Attr, InferError, Op, arithmetic, broadcast, predicate, same, tensor
from .tree import Operand, Prefix, Tree, call, infix, method
from .types import DType, Tensor


def _erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf, otypes=[np.float64])(x).astype(x.dtype)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-x.astype(np.float64)))).astype(x.dtype)


def _gelu(x: np.ndarray, approximate: str) -> np.ndarray:
    wide = x.astype(np.float64)
    if approximate == "sigmoid":
        return (wide / (1 + np.exp(-1.702 * wide))).astype(x.dtype)
    if approximate == "tanh":
        inner = np.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3))
    else:
        inner = _erf(wide / math.sqrt(2))
    return (0.5 * wide * (1 + inner)).astype(x.dtype)


def _gelu_tree(node: Any, x: Tree) -> Tree:
    names = {"none": "nn.gelu", "tanh": "nn.gelu_approx", "sigmoid": "nn.gelu_fast_approx"}
    return call(names[node["approximate"]], x)


def weak(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Scalars take the arrays' dtype (weak scalars), so that NumPy does not promote."""

    def run(*operands: Any, **attrs: Any) -> np.ndarray:
        dtype = next(o.dtype for o in operands if isinstance(o, np.ndarray))
        return function(
            *(o if isinstance(o, np.ndarray) else np.asarray(o, dtype) for o in operands), **attrs
        )

    return run


def _binary(
    name: str, operator: str, function: Callable[..., Any], commutative: bool = False, doc: str = ""
) -> Op:
    """`a op b`, spelled as an operator."""
    return Op(
        name,
        "a b",
        arithmetic,
        lambda n, a, b: infix(operator, a, b),
        weak(function),
        commutative=commutative,
        elementwise=True,
        doc=f"`a {operator} b`. {doc}".strip(),
    )


def _binary_call(
    name: str, mlx: str, function: Callable[..., Any], commutative: bool = False, doc: str = ""
) -> Op:
    return Op(
        name,
        "a b",
        arithmetic,
        lambda n, a, b: call(f"mx.{mlx}", a, b),
        weak(function),
        commutative=commutative,
        elementwise=True,
        doc=doc,
    )


def _compare(name: str, operator: str, function: Callable[..., Any]) -> Op:
    return Op(
        name,
        "a b",
        predicate,
        lambda n, a, b: infix(operator, a, b),
        weak(function),
        commutative=name in ("equal", "not_equal"),
        elementwise=True,
        doc=f"`a {operator} b`, boolean.",
    )


def _unary(name: str, function: Callable[..., Any], mlx: str | None = None, doc: str = "") -> Op:
    return Op(
        name,
        "x",
        same,
        lambda n, x: call(mlx or f"mx.{name}", x),
        lambda x: np.asarray(function(x), x.dtype),
        elementwise=True,
        doc=doc or f"{name}(x), elementwise.",
    )


def bits_tree(name: str, operator: str, a: Tree, b: Tree) -> Tree:
    """Arrays take numbers on the right of these operators only."""
    return infix(operator, a, b) if isinstance(a, Operand) else call(f"mx.{name}", a, b)


def _logical(name: str, operator: str, function: Callable[..., Any], bitwise: str) -> Op:
    """Logic on booleans and integers alike (`&`, `|`, `^`)."""
    return Op(
        name,
        "a b",
        arithmetic,
        lambda n, a, b: bits_tree(name, operator, a, b),
        weak(function),
        commutative=True,
        elementwise=True,
        doc=f"Bitwise {bitwise}; logical on booleans.",
    )


def _infer_bitcast(x: Any, dtype: DType) -> Tensor:
    if tensor(x).dtype.numpy.itemsize != dtype.numpy.itemsize:
        raise InferError(f"the bits of {x} do not fit {dtype}")
    return x.with_dtype(dtype)


def _infer_where(condition: Any, a: Any, b: Any) -> Tensor:
    if tensor(condition).dtype is not DType.bool:
        raise InferError(f"where needs a boolean condition, got {condition}")
    types = [t for t in (a, b) if isinstance(t, Tensor)]
    if not types:
        return condition.with_dtype(_scalar_dtype(a, b))
    result = arithmetic(*types)
    return result.with_shape(*broadcast(condition.shape, result.shape))


def _scalar_dtype(*scalars: Any) -> DType:
    """What MLX makes of Python scalars alone."""
    if any(isinstance(s, float) for s in scalars):
        return DType.f32
    return DType.bool if all(isinstance(s, bool) for s in scalars) else DType.i32


def _where(condition: np.ndarray, a: Any, b: Any) -> np.ndarray:
    dtype = next((v.dtype for v in (a, b) if isinstance(v, np.ndarray)), _scalar_dtype(a, b).numpy)
    return np.where(condition, np.asarray(a, dtype), np.asarray(b, dtype))


def _clip(x: np.ndarray, low: Any, high: Any) -> np.ndarray:
    out = x if low is None else np.maximum(x, np.asarray(low, x.dtype))
    return out if high is None else np.minimum(out, np.asarray(high, x.dtype))


def _infer_clip(x: Any, low: Any, high: Any) -> Tensor:
    return arithmetic(*(o for o in (x, low, high) if o is not None))


def _float(x: Any, **attrs: Any) -> Tensor:
    """Functions of a real argument: integers must be cast first."""
    if not (tensor(x).dtype.is_float or x.dtype.is_complex):
        raise InferError(f"needs a floating point operand, got {x}")
    return x


def _function(name: str, function: Callable[..., Any], mlx: str | None = None, doc: str = "") -> Op:
    """A real function of one array."""
    return Op(
        name,
        "x",
        _float,
        lambda n, x: call(mlx or f"mx.{name}", x),
        lambda x: np.asarray(function(x)).astype(x.dtype),
        elementwise=True,
        doc=doc or f"{name}(x), elementwise.",
    )


def _test(name: str, function: Callable[..., Any]) -> Op:
    return Op(
        name,
        "x",
        lambda x: tensor(x).with_dtype(DType.bool),
        lambda n, x: call(f"mx.{name}", x),
        function,
        elementwise=True,
        doc=f"{name}, boolean.",
    )


def _invert_tree(node: Any, x: Tree) -> Tree:
    return Prefix("~", x) if node.type(0).dtype is not DType.bool else call("mx.logical_not", x)


def _floor_divide_tree(node: Any, a: Tree, b: Tree) -> Tree:
    """`//` of floats rounds the quotient before it rounds down: 1.0 // 0.1 would be 10."""
    if node.out.tensor.dtype.is_float:
        return call("runtime.floor_divide", a, b)
    return infix("//", a, b)


ROWS = [
    _binary("add", "+", np.add, commutative=True),
    _binary("subtract", "-", np.subtract),
    _binary("multiply", "*", np.multiply, commutative=True),
    _binary("divide", "/", np.divide, doc="True division of floats; integers must be cast first."),
    _binary("power", "**", np.power),
    _binary("remainder", "%", np.remainder, doc="The remainder has the sign of the divisor."),
    Op(
        "floor_divide",
        "a b",
        arithmetic,
        _floor_divide_tree,
        weak(np.floor_divide),
        elementwise=True,
        doc="Floor division; that of floats rounds down the exact quotient.",
    ),
    _logical("bitwise_and", "&", np.bitwise_and, "and"),
    _logical("bitwise_or", "|", np.bitwise_or, "or"),
    _logical("bitwise_xor", "^", np.bitwise_xor, "exclusive or"),
    _binary_call("maximum", "maximum", np.maximum, commutative=True, doc="NaN wins."),
    _binary_call("minimum", "minimum", np.minimum, commutative=True, doc="NaN wins."),
    _binary_call("arctan2", "arctan2", np.arctan2, doc="The angle of the point (b, a)."),
    _compare("equal", "==", np.equal),
    _compare("not_equal", "!=", np.not_equal),
    _compare("less", "<", np.less),
    _compare("less_equal", "<=", np.less_equal),
    _compare("greater", ">", np.greater),
    _compare("greater_equal", ">=", np.greater_equal),
    Op(
        "negative",
        "x",
        same,
        lambda n, x: Prefix("-", x),
        lambda x: -x,
        elementwise=True,
        doc="`-x`.",
    ),
    Op(
        "invert",
        "x",
        same,
        _invert_tree,
        np.invert,
        elementwise=True,
        doc="Bitwise not; logical not on booleans.",
    ),
    _unary("abs", np.abs, doc="Absolute value of real numbers."),
    _unary("sign", np.sign, doc="-1, 0 or 1."),
    _unary("floor", np.floor),
    _unary("ceil", np.ceil),
    _unary("round", np.round, doc="Half to even."),
    _unary("trunc", np.trunc, doc="Toward zero."),
    _unary("square", np.square, doc="x * x."),
    _unary("relu", lambda x: np.maximum(x, 0), "nn.relu", doc="max(x, 0)."),
    _test("isnan", np.isnan),
    _test("isinf", np.isinf),
    _test("isfinite", np.isfinite),
    *(
        _function(name, function)
        for name, function in {
            "exp": np.exp,
            "expm1": np.expm1,
            "log": np.log,
            "log2": np.log2,
            "log10": np.log10,
            "log1p": np.log1p,
            "sqrt": np.sqrt,
            "sin": np.sin,
            "cos": np.cos,
            "tan": np.tan,
            "sinh": np.sinh,
            "cosh": np.cosh,
            "tanh": np.tanh,
            "arcsin": np.arcsin,
            "arccos": np.arccos,
            "arctan": np.arctan,
            "arcsinh": np.arcsinh,
            "arccosh": np.arccosh,
            "arctanh": np.arctanh,
        }.items()
    ),
    _function("rsqrt", lambda x: 1 / np.sqrt(x), doc="1 / sqrt(x)."),
    _function("reciprocal", lambda x: 1 / x, doc="1 / x."),
    _function("erf", _erf, doc="The error function."),
    _function("sigmoid", _sigmoid, doc="1 / (1 + exp(-x))."),
    _function("silu", lambda x: x * _sigmoid(x), "nn.silu", doc="x * sigmoid(x)."),
    Op(
        "gelu",
        "x",
        _float,
        _gelu_tree,
        _gelu,
        {"approximate": Attr("str", "none")},
        elementwise=True,
        doc="Gaussian error linear unit; `approximate` is none (erf), tanh or sigmoid "
        "(x * sigmoid(1.702 x)). "
        "Hendrycks and Gimpel, 2016.",
    ),
    Op(
        "cast",
        "x",
        lambda x, dtype: tensor(x).with_dtype(dtype),
        lambda n, x: method(x, "astype", n["dtype"]),
        lambda x, dtype: x.astype(dtype.numpy),
        {"dtype": Attr("dtype")},
        elementwise=True,
        doc="Element type conversion; floats to integers truncate.",
    ),
    Op(
        "bitcast",
        "x",
        _infer_bitcast,
        lambda n, x: method(x, "view", n["dtype"]),
        lambda x, dtype: x.view(dtype.numpy),
        {"dtype": Attr("dtype")},
        doc="The same bits read as another element type of the same width.",
    ),
    Op(
        "where",
        "condition a b",
        _infer_where,
        lambda n, c, a, b: call("mx.where", c, a, b),
        _where,
        elementwise=True,
        doc="a where the condition holds, else b. Two scalars give f32, i32 or bool, as in MLX.",
    ),
    Op(
        "clip",
        "x low? high?",
        _infer_clip,
        lambda n, x, low, high: call("mx.clip", x, low, high),
        _clip,
        elementwise=True,
        doc="min(max(x, low), high).",
    ),
]
