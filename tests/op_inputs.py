"""The calls of op_cases.py as nodes, with random operands, and what NumPy makes of them."""

from __future__ import annotations

import ast
import zlib
from typing import Any

import numpy as np
from op_cases import ABOVE_ONE, CASES, FIXED, POSITIVE, PROBABILITY, SORTED_FIRST, UNIT
from op_harness import concrete

from mlx_transpile.ir import TABLE, Builder, Graph, Node, Tensor, Value
from mlx_transpile.ir.blocks import binds
from mlx_transpile.ir.dims import parse_dim
from mlx_transpile.ir.types import DType

SIZES = [{"B": 3, "L": 4, "H": 6, "W": 7}, {"B": 4, "L": 9, "H": 9, "W": 8}]
LINES = CASES.strip().splitlines()
WITH_LAYER = [line for line in LINES if TABLE[line.partition("(")[0]].layer]
# Not in half precision: transforms anywhere, products by groups on MLX's CPU backend.
SINGLE_ONLY = ("fft", "rfft", "irfft", "stft", "istft", "complex", "as_complex", "grouped_matmul")
REAL = [line for line in LINES if "f32" in line and not line.startswith(SINGLE_ONLY)]


def value_of(node: ast.expr) -> Any:
    """An operand or attribute: a type, a scalar, a dim, a tuple."""
    match node:
        case ast.Subscript(value=ast.Name(id=dtype), slice=shape):
            dims = shape.elts if isinstance(shape, ast.Tuple) else [shape]
            return Value(Tensor(DType(dtype), tuple(parse_dim(d, {}) for d in dims)))
        case ast.Tuple(elts=elts):
            return tuple(value_of(e) for e in elts)
        case ast.Name(id=name) if name in DType.__members__:
            return DType(name)
        case ast.Name(id="inf"):
            return float("inf")
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name(id="inf")):
            return float("-inf")
    try:
        return ast.literal_eval(node)
    except ValueError:
        return parse_dim(node, {})


def node_of(line: str) -> Node:
    call = ast.parse(line.replace("[]", "[()]"), mode="eval").body
    assert isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    graph = Graph("case")
    Builder(graph).op(
        call.func.id,
        *map(value_of, call.args),
        **{str(k.arg): value_of(k.value) for k in call.keywords},
    )
    return graph.nodes[0]


def array_of(node: Node, index: int, sizes: dict[str, int]) -> Any:
    operand = node.operands[index]
    if not isinstance(operand, Value):
        return concrete(operand, sizes)
    shape, dtype = concrete(operand.tensor.shape, sizes), operand.tensor.dtype
    random = np.random.default_rng(zlib.crc32(f"{node.op} {index}".encode()))
    if (node.op, index) in FIXED:
        return np.array(FIXED[node.op, index](sizes), dtype.numpy)
    if dtype is DType.bool:
        return random.random(shape) > 0.5
    if dtype.is_integer:
        low = 1 if node.op in POSITIVE else 0
        if node.op == "scatter":
            return np.zeros(shape, dtype.numpy)
        return random.integers(low, 3 + low, shape).astype(dtype.numpy)
    x = random.standard_normal(shape)
    if node.op in POSITIVE:
        x = np.abs(x) + 0.3
    if node.op in UNIT:
        x = np.tanh(x) * 0.9
    if node.op in PROBABILITY:
        x = 1 / (1 + np.exp(-x))
    if node.op in ABOVE_ONE:
        x = np.abs(x) + 1.1
    if node.op in SORTED_FIRST and index == 0:
        x = np.sort(x, -1)
    if dtype.is_complex:
        x = x + 1j * random.standard_normal(shape)
        if node.op in ("irfft", "istft"):  # what a real signal gives
            x[..., 0] = x[..., 0].real
    return x.astype(dtype.numpy)


def found_sizes(node: Node, results: list[np.ndarray]) -> dict[str, int]:
    """The sizes that the data decides."""
    pairs = [
        (str(dim), size)
        for value, array in zip(node.results, results, strict=True)
        for dim, size in zip(value.tensor.shape, array.shape, strict=True)
    ]
    return {name: size for name, size in pairs if name in binds(node)}


def reference(node: Node, arrays: list[Any], sizes: dict[str, int]) -> list[np.ndarray]:
    """The row's own evaluation, checked against the types that it infers."""
    results = node.row.evaluate(arrays, {k: concrete(v, sizes) for k, v in node.attrs.items()})
    sizes = sizes | found_sizes(node, results)
    for value, array in zip(node.results, results, strict=True):
        assert array.shape == concrete(value.tensor.shape, sizes), f"{array.shape} for {value.type}"
        assert array.dtype == value.tensor.dtype.numpy, f"{array.dtype} for {value.type}"
    return results
