"""ONNX operators on arrays that are known while walking: arithmetic on sizes, folding of constants.

Elements may be symbolic dims. `HOST[op](call, *hosts)` gives an array, a list of arrays, or raises
NotHost, after which the operator becomes nodes like any other.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir import DType, Unequal
from ..ir.dims import Expr, floordiv, maximum
from ..ir.types import dtype_of as numpy_dtype
from . import host as numbers
from .host import NotHost
from .onnx_names import readable
from .onnx_values import Call, Host, host
from .solving import known_sign

Function = Callable[..., Any]


def on_host(call: Call, inputs: Sequence[Host | None]) -> list[Host] | None:
    """The operator's results, where all inputs are known and its row here says how; else None."""
    function = HOST.get(call.op, _by_reference)
    present = [x for x in inputs if x is not None]
    if not all(x.foldable or (call.op in _WRITING and _is_small(x)) for x in present):
        return None
    try:
        result = function(call, *inputs)
    except Unequal:
        raise
    except (NotHost, TypeError, ValueError, ZeroDivisionError, OverflowError, IndexError, KeyError):
        return None
    return result if isinstance(result, list) else [result]


# What writes numbers of the code into constants: a mask of windows, say.
_WRITING = frozenset({"ScatterND", "ScatterElements"})


def _is_small(x: Host) -> bool:
    """A tensor of the file that has no name of its own, and is no weight by its size."""
    return x.size <= 1024 and not readable(x.initializer)


# Operators that are not evaluated here: those with graphs inside, and those that draw numbers.
_NEVER = frozenset(
    {"If", "Loop", "Scan", "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike",
     "RandomUniform", "RandomUniformLike", "Dropout"}
)  # fmt: skip


def _by_reference(call: Call, *inputs: Host | None) -> list[Host]:
    """The operator on plain numbers, by onnx's own evaluator."""
    symbolic = any(x is not None and x.array.dtype == object for x in inputs)
    if call.op in _NEVER or symbolic or any(isinstance(a, Host) for a in call.attrs.values()):
        raise NotHost(call.op)
    import onnx
    from onnx.reference import ReferenceEvaluator

    names = [f"x{i}" if x is not None else "" for i, x in enumerate(inputs)]
    outputs = [f"y{i}" for i in range(max(len(call.outputs), 1))]
    node = onnx.helper.make_node(call.op, names, outputs, **call.attrs)
    graph = onnx.helper.make_graph(
        [node], "g", [onnx.helper.make_empty_tensor_value_info(n) for n in names if n],
        [onnx.helper.make_empty_tensor_value_info(n) for n in outputs],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", call.opset)])
    feeds = {n: x.array for n, x in zip(names, inputs, strict=True) if x is not None}
    try:
        results = ReferenceEvaluator(model).run(None, feeds)
    except Exception as error:
        raise NotHost(str(error)) from None
    arrays = [np.asarray(r) for r in results]
    if any(a.size > 4096 or a.dtype == object for a in arrays):
        raise NotHost("a large result")
    return [host(a, numpy_dtype(a)) for a in arrays]


def _whole(array: np.ndarray) -> np.ndarray:
    """No comparison of sizes is left over."""
    for item in array.reshape(-1) if array.dtype == object else ():
        if isinstance(item, numbers.Condition):
            raise NotHost(str(item))
    return array


def _elementwise(function: Function, dtype: DType | None = None) -> Function:
    """Symbolic elements one by one, plain arrays through NumPy."""

    def run(call: Call, *xs: Host) -> Host:
        arrays = [x.array for x in xs]
        kind = dtype or xs[0].dtype
        objects = [a.astype(object) for a in arrays]
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        out = np.empty(shape, object)
        spread = [np.broadcast_to(a, shape) for a in objects]
        for place in np.ndindex(*shape):
            out[place] = function(*(_item(a[place]) for a in spread))
        return host(_whole(out), kind)

    return run


def _item(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return value


def _numpy(function: Function, symbolic: Function, dtype: DType | None = None) -> Function:
    """NumPy's function on plain arrays of one type, element by element on symbolic ones."""
    slow = _elementwise(symbolic, dtype)

    def run(call: Call, *xs: Host) -> Host:
        if any(x.array.dtype == object for x in xs):
            return slow(call, *xs)
        with np.errstate(all="ignore"):
            return host(function(*(x.array for x in xs)), dtype or xs[0].dtype)

    return run


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind not in "iu":
        return a / b
    quotient = np.abs(a) // np.abs(b)
    return np.where((a < 0) == (b < 0), quotient, -quotient).astype(a.dtype)


def _divide_dims(a: Any, b: Any) -> Any:
    """Sizes are divided as integers; what is divided is no size below 0."""
    if isinstance(a, Expr) and isinstance(b, int) and b > 0:
        known_sign(a)
    return numbers.truncate_divide(a, b)


def _div(call: Call, a: Host, b: Host) -> Host:
    """Quotients of sizes that were cast to floats stay exact until they are rounded."""
    return _numpy(_divide, numbers.truediv if a.dtype.is_float else _divide_dims)(call, a, b)


def _to_int(a: Any) -> Any:
    if isinstance(a, numbers.Ratio):
        known_sign(a.over)
    return numbers.to_int(a)


def _where(call: Call, condition: Host, a: Host, b: Host) -> Host:
    if condition.symbolic:
        raise NotHost("a condition on sizes")
    return host(np.where(condition.array, a.array, b.array), a.dtype)


def _compare(symbol: str, function: Function) -> Function:
    return _numpy(function, lambda a, b: numbers.compare(symbol, a, b), DType.bool)


def _cast(call: Call, x: Host, *rest: Host) -> Host:
    from .onnx_read import dtype_of

    dtype = rest[0].dtype if rest else dtype_of(call.required("to"), "Cast")
    if x.array.dtype == object:
        if dtype is DType.bool:
            raise NotHost("the truth of a size")
        to = _to_int if dtype.is_integer else numbers.to_float
        return _elementwise(to, dtype)(call, x)
    if x.dtype.is_float and dtype.is_integer and not np.isfinite(x.array.astype(float)).all():
        raise NotHost("a number without integer")
    return host(x.array.astype(dtype.numpy), dtype)


def _shape_like(function: Function) -> Function:
    """An operator that moves elements: `function(call, array, *others)`."""
    return lambda call, x, *rest: host(function(call, x.array, *rest), x.dtype)


def _axes(call: Call, rest: Sequence[Host | None]) -> list[int] | None:
    if rest and rest[0] is not None:
        return [int(v) for v in rest[0].array.reshape(-1)]
    return call.attr("axes")


def _squeeze(call: Call, x: np.ndarray, *rest: Host | None) -> np.ndarray:
    axes = _axes(call, rest)
    return np.squeeze(x, None if axes is None else tuple(axes))


def _unsqueeze(call: Call, x: np.ndarray, *rest: Host | None) -> np.ndarray:
    return np.expand_dims(x, tuple(_axes(call, rest) or ()))


def _gather(call: Call, x: np.ndarray, indices: Host) -> np.ndarray:
    return np.take(x, indices.array.astype(np.int64), call.attr("axis", 0))


def _slice(call: Call, x: np.ndarray, *rest: Host | None) -> np.ndarray:
    if rest:
        lists = [None if r is None else list(r.array.reshape(-1)) for r in rest]
        starts, ends, axes, steps = [*lists, None, None][:4]
    else:
        starts, ends = call.required("starts"), call.required("ends")
        axes, steps = call.attr("axes"), None
    assert starts is not None and ends is not None
    if any(isinstance(v, Expr | numbers.Ratio) for part in (starts, ends) for v in part):
        raise NotHost("a slice by a size")
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis = int(axes[i]) if axes is not None else i
        step = int(steps[i]) if steps is not None else 1
        stop = None if step < 0 and end < -x.shape[axis] else int(end)
        place = [slice(None)] * x.ndim
        place[axis] = slice(int(start), stop, step)
        x = x[tuple(place)]
    return x


def _concat(call: Call, *xs: Host) -> Host:
    return host(np.concatenate([x.array for x in xs], call.attr("axis", 1)), xs[0].dtype)


def _split(call: Call, x: Host, sizes: Host | None = None) -> list[Host]:
    axis = call.attr("axis", 0)
    parts = sizes.array if sizes is not None else call.attr("split")
    if parts is None:
        count = call.attr("num_outputs", len(call.outputs))
        size = -(-x.shape[axis] // count)
        parts = [size] * (count - 1) + [x.shape[axis] - size * (count - 1)]
    return [host(a, x.dtype) for a in np.split(x.array, np.cumsum(parts)[:-1], axis)]


def _reshape(call: Call, x: np.ndarray, shape: Host) -> np.ndarray:
    wanted = [int(v) for v in shape.array]
    if not call.attr("allowzero", 0):
        wanted = [x.shape[i] if v == 0 else v for i, v in enumerate(wanted)]
    return x.reshape(wanted)


def _expand(call: Call, x: np.ndarray, shape: Host) -> np.ndarray:
    wanted = [int(v) for v in shape.array]
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, wanted))


def _transpose(call: Call, x: np.ndarray) -> np.ndarray:
    return x.transpose(call.attr("perm") or range(x.ndim)[::-1])


def _range(call: Call, start: Host, limit: Host, delta: Host) -> Host:
    numbers_ = [v.number for v in (start, limit, delta)]
    if any(isinstance(v, Expr | numbers.Ratio) for v in numbers_):
        raise NotHost("a range of a size")
    out = np.arange(*numbers_)
    if out.size > 64:
        raise NotHost("a long range")
    return host(out, start.dtype)


def _constant_of_shape(call: Call, shape: Host) -> Host:
    value = call.attr("value")
    filled, dtype = (0.0, DType.f32) if value is None else (value.number, value.dtype)
    wanted = [int(v) for v in shape.array]
    if int(np.prod(wanted)) > 4096:
        raise NotHost("a large array")
    return host(np.full(wanted, filled), dtype)


def _reduce(function: Function) -> Function:
    def run(call: Call, x: Host, axes: Host | None = None) -> Host:
        listed = [int(v) for v in axes.array] if axes is not None else call.attr("axes")
        if not listed:
            if call.attr("noop_with_empty_axes", 0):
                return x
            listed = list(range(x.rank))
        array, keep = x.array.astype(object), bool(call.attr("keepdims", 1))
        return host(function(array, tuple(listed), keep), x.dtype)

    return run


def _over(step: Callable[[Any, Any], Any]) -> Function:
    ufunc = np.frompyfunc(step, 2, 1)

    def run(array: np.ndarray, axes: tuple[int, ...], keepdims: bool) -> Any:
        for axis in sorted((a % array.ndim for a in axes), reverse=True):
            array = ufunc.reduce(array, axis=axis, keepdims=keepdims)
        return array

    return run


def _tile(call: Call, x: np.ndarray, repeats: Host) -> np.ndarray:
    return np.tile(x, [int(v) for v in repeats.array])


def _fold(function: Function) -> Function:
    """An operator of any number of operands, two at a time."""

    def run(call: Call, first: Host, *rest: Host) -> Host:
        out = first
        for x in rest:
            out = function(call, out, x)
        return out

    return run


def _range_length(start: Any, limit: Any, delta: Any) -> Any:
    return maximum(-floordiv(start - limit, delta), 0)


def _mod(call: Call, a: Host, b: Host) -> Host:
    if call.attr("fmod", 0):
        return _numpy(np.fmod, numbers.NUMBERS["fmod"])(call, a, b)
    return _numpy(np.mod, numbers.NUMBERS["mod"])(call, a, b)


_ARITHMETIC: dict[str, Function] = {
    "Add": _numpy(np.add, numbers.add),
    "Sub": _numpy(np.subtract, numbers.subtract),
    "Mul": _numpy(np.multiply, numbers.multiply),
    "Div": _div,
    "Mod": _mod,
    "Pow": _numpy(np.power, numbers.power),
    "Neg": _numpy(np.negative, operator.neg),
    "Abs": _numpy(np.abs, numbers.NUMBERS["abs"]),
    "Floor": _numpy(np.floor, numbers.floor),
    "Ceil": _numpy(np.ceil, numbers.ceil),
    "Sqrt": _numpy(np.sqrt, numbers.NUMBERS["sqrt"]),
    "Reciprocal": _numpy(lambda x: 1 / x, numbers.NUMBERS["reciprocal"]),
    "Min": _fold(_numpy(np.minimum, numbers.NUMBERS["minimum"])),
    "Max": _fold(_numpy(np.maximum, numbers.NUMBERS["maximum"])),
    "Equal": _compare("==", np.equal),
    "Less": _compare("<", np.less),
    "LessOrEqual": _compare("<=", np.less_equal),
    "Greater": _compare(">", np.greater),
    "GreaterOrEqual": _compare(">=", np.greater_equal),
    "Not": _numpy(np.logical_not, numbers.negate),
    "And": _numpy(np.logical_and, numbers.both),
    "Or": _numpy(np.logical_or, numbers.either),
}

HOST: dict[str, Function] = {
    **_ARITHMETIC,
    "Identity": lambda call, x: x,
    "Where": _where,
    "Cast": _cast,
    "CastLike": _cast,
    "Squeeze": _shape_like(_squeeze),
    "Unsqueeze": _shape_like(_unsqueeze),
    "Gather": _shape_like(_gather),
    "Slice": _shape_like(_slice),
    "Concat": _concat,
    "Split": _split,
    "Reshape": _shape_like(_reshape),
    "Expand": _shape_like(_expand),
    "Transpose": _shape_like(_transpose),
    "Tile": _shape_like(_tile),
    "Range": _range,
    "ConstantOfShape": _constant_of_shape,
    "ReduceProd": _reduce(_over(numbers.multiply)),
    "ReduceSum": _reduce(_over(numbers.add)),
    "ReduceMax": _reduce(_over(numbers.NUMBERS["maximum"])),
    "ReduceMin": _reduce(_over(numbers.NUMBERS["minimum"])),
    "Flatten": _shape_like(
        lambda call, x: x.reshape(int(np.prod(x.shape[: call.attr("axis", 1)])), -1)
    ),
}
