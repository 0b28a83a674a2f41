"""ONNX rows: matrix products."""

from __future__ import annotations

from typing import Any

from ..ir import DType, Param, Value
from ..ir.recipe import Constant, Read
from .aten_common import expand_dims, permuted
from .onnx_values import Call, Host, Source


def product(c: Call, a: Source, b: Source) -> Value:
    """A weight that nothing else reads makes a linear layer; exporters store it turned.

    A matrix with a name of its own is no weight of a layer.
    """
    if isinstance(b, Host) and b.single and _is_weight(c, b):
        x, table = c.value(a), c.state.table_of(b)
        if x.tensor.rank > 1 and table is not None:
            return c.b.op("linear", x, c.value(table, role="weight"), None)
        if x.tensor.rank > 1:
            return c.b.op("linear", x, permuted(c.b, c.value(b, role="weight"), [1, 0]), None)
    if isinstance(b, Param) and _is_derived(b) and c.value(a).tensor.rank > 1:
        return c.b.op("linear", c.value(a), permuted(c.b, b, [1, 0]), None)
    return matmul(c, c.value(a, role="weight"), c.value(b, role="weight"))


def _is_derived(x: Param) -> bool:
    """Whether it is a weight that the file holds as integers."""
    named = x.name.endswith("weight")
    return named and x.tensor.rank == 2 and not isinstance(x.recipe, Read | Constant)


def _is_weight(c: Call, x: Host) -> bool:
    name = c.state.readable(x.initializer)
    return (
        bool(x.initializer)
        and x.rank == 2
        and x.dtype.is_float
        and (not name or name.endswith("weight"))
    )


def matmul(c: Call, a: Value, b: Value) -> Value:
    """Integers are multiplied as float64 would be exact; MLX multiplies floats only."""
    dtype = a.tensor.dtype
    if dtype.is_float or dtype.is_complex:
        return c.b.op("matmul", a, b)
    return integer_matmul(c, a, b, dtype)


def integer_matmul(c: Call, a: Value, b: Value, dtype: DType) -> Value:
    """Products of integers, summed as such."""
    wide = [c.value(v, DType.i64 if dtype in (DType.i64, DType.u64) else DType.i32) for v in (a, b)]
    left, right = wide
    left = expand_dims(c.b, left, left.tensor.rank)
    if right.tensor.rank == 1:
        right = expand_dims(c.b, right, 1)
        return c.value(_summed(c, left, right, drop=True), dtype)
    right = expand_dims(c.b, right, right.tensor.rank - 2)
    return c.value(_summed(c, left, right, drop=False), dtype)


def _summed(c: Call, left: Value, right: Value, drop: bool) -> Value:
    """[..., M, K, 1] times [..., 1, K, N], summed over K."""
    product = c.b.op("multiply", left, right)
    total = c.b.op("sum", product, axes=(product.tensor.rank - 2,), keepdims=False)
    return c.b.op("squeeze", total, axes=(total.tensor.rank - 1,)) if drop else total


def _gemm(c: Call, a: Source, b: Source, bias: Source = None) -> Value:
    left, right = c.value(a), c.value(b, role="weight")
    alpha, beta = float(c.attr("alpha", 1.0)), float(c.attr("beta", 1.0))
    if c.attr("transA", 0):
        left = permuted(c.b, left, [1, 0])
    if c.attr("transB", 0):
        right = permuted(c.b, right, [1, 0])
    out = matmul(c, left, right)
    if alpha != 1.0:
        out = c.b.op("multiply", out, alpha)
    if bias is None or beta == 0.0:
        return out
    extra = c.value(bias, role="bias")
    return c.b.op("add", out, extra if beta == 1.0 else c.b.op("multiply", extra, beta))


def _einsum(c: Call, *xs: Source) -> Value:
    values = [c.value(x) for x in xs]
    text = c.required("equation").replace(" ", "")
    return c.b.op("einsum", *values, subscripts=_explicit(text, [v.tensor.rank for v in values]))


def _explicit(text: str, ranks: list[int]) -> str:
    """Letters for `...`, and the result where it is left out."""
    inputs, arrow, output = text.partition("->")
    free = [ch for ch in "ZYXWVUTSRQPONMLK" if ch not in text]
    parts = inputs.split(",")
    extra = max(
        (r - len(p.replace("...", "")) for p, r in zip(parts, ranks, strict=True) if "..." in p),
        default=0,
    )
    dots = "".join(free[:extra])
    named = []
    for part, rank in zip(parts, ranks, strict=True):
        count = rank - len(part.replace("...", ""))
        named.append(part.replace("...", dots[len(dots) - count :] if count else ""))
    if not arrow:
        letters = "".join(parts).replace("...", "")
        output = dots + "".join(sorted(ch for ch in set(letters) if letters.count(ch) == 1))
    return f"{','.join(named)}->{output.replace('...', dots)}"


def _det(c: Call, x: Source) -> Value:
    """By elimination without exchange of rows on the way: sizes up to 4 by minors."""
    value = c.value(x)
    return _minors(c, value)


def _minors(c: Call, x: Value) -> Value:
    from ..errors import TranspileError

    n, rank = x.tensor.shape[-1], x.tensor.rank
    if not isinstance(n, int) or n > 5:
        raise TranspileError(f"the determinant of {n} x {n} matrices", hint="sizes up to 5 work")
    if n == 1:
        return c.b.op("squeeze", x, axes=(rank - 2, rank - 1))
    total: Any = None
    below = c.b.op("slice", x, axis=rank - 2, start=1, stop=None)
    for i in range(n):
        first = c.b.op(
            "select", c.b.op("select", x, axis=rank - 1, index=i), axis=rank - 2, index=0
        )
        parts = [
            c.b.op("slice", below, axis=rank - 1, start=a, stop=z)
            for a, z in ((0, i), (i + 1, n))
            if z > a
        ]
        rest = parts[0] if len(parts) == 1 else c.b.op("concatenate", *parts, axis=rank - 1)
        term = c.b.op("multiply", first, _minors(c, rest))
        total = term if total is None else c.b.op("subtract" if i % 2 else "add", total, term)
    return total


ROWS: dict[str, Any] = {
    "MatMul": product,
    "Gemm": _gemm,
    "Einsum": _einsum,
    "Det": _det,
}
