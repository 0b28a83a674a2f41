"""Every row of the op table: what it prints, run in MLX, beside its NumPy reference, at two sizes; layers too."""

from __future__ import annotations

import ast
import zlib
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from op_cases import ABOVE_ONE, CASES, FIXED, POSITIVE, SORTED_FIRST, UNIT
from op_harness import close, concrete, flat, helpers, run_mlx, to_mlx, to_numpy, used_helpers

from mlx_transpile.codegen.render import render
from mlx_transpile.ir import TABLE, Builder, Graph, Node, Tensor, Value
from mlx_transpile.ir.dims import parse_dim
from mlx_transpile.ir.doc import ops_page
from mlx_transpile.ir.op import Op, table
from mlx_transpile.ir.tree import Layer
from mlx_transpile.ir.types import DType

SIZES = [{"B": 3, "L": 4, "H": 6, "W": 7}, {"B": 4, "L": 9, "H": 9, "W": 8}]
LINES = CASES.strip().splitlines()


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
    if node.op in ABOVE_ONE:
        x = np.abs(x) + 1.1
    if node.op in SORTED_FIRST and index == 0:
        x = np.sort(x, -1)
    if dtype.is_complex:
        x = x + 1j * random.standard_normal(shape)
        if node.op in ("irfft", "istft"):  # what a real signal gives
            x[..., 0] = x[..., 0].real
    return x.astype(dtype.numpy)


def reference(node: Node, arrays: list[Any], sizes: dict[str, int]) -> list[np.ndarray]:
    """The row's own evaluation, checked against the types that it infers."""
    results = node.row.evaluate(arrays, {k: concrete(v, sizes) for k, v in node.attrs.items()})
    for value, array in zip(node.results, results, strict=True):
        assert array.shape == concrete(value.tensor.shape, sizes), f"{array.shape} for {value.type}"
        assert array.dtype == value.tensor.dtype.numpy, f"{array.dtype} for {value.type}"
    return results


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("sizes", SIZES, ids=["small", "large"])
def test_emitted_code_beside_the_reference(line: str, sizes: dict[str, int]) -> None:
    node = node_of(line)
    arrays = [array_of(node, i, sizes) for i in range(len(node.operands))]
    expected = reference(node, arrays, sizes)
    for found, wanted, value in zip(
        run_mlx(node, arrays, sizes), expected, node.results, strict=True
    ):
        close(found, wanted, value.tensor.dtype)


# Not in half precision: transforms anywhere, products by groups on MLX's CPU backend.
SINGLE_ONLY = ("fft", "rfft", "irfft", "stft", "istft", "complex", "as_complex", "grouped_matmul")
REAL = [line for line in LINES if "f32" in line and not line.startswith(SINGLE_ONLY)]


@pytest.mark.parametrize("line", REAL)
def test_half_precision_stays_half(line: str) -> None:
    """A model in bfloat16 runs in bfloat16: no weight or constant lifts a result to float32."""
    sizes, node = SIZES[0], node_of(line.replace("f32", "bf16"))
    arrays = [array_of(node, i, sizes) for i in range(len(node.operands))]
    expected = reference(node, arrays, sizes)
    for found, wanted, value in zip(
        run_mlx(node, arrays, sizes), expected, node.results, strict=True
    ):
        if value.tensor.dtype.is_float:  # places may differ where rounding makes ties
            close(found, wanted, value.tensor.dtype)


WITH_LAYER = [line for line in LINES if TABLE[line.partition("(")[0]].layer]


@pytest.mark.parametrize("line", WITH_LAYER)
def test_layer_beside_the_reference(line: str) -> None:
    """Where a module holds only this op: the layer, with the operands as its parameters."""
    sizes, node = SIZES[0], node_of(line)
    layer = node.row.layer(node)  # type: ignore[misc]
    if layer is None:
        return
    arrays = [array_of(node, i, sizes) for i in range(len(node.operands))]
    module = build(layer, node, sizes)
    for index, name in layer.params:
        assert name in module.parameters(), f"{layer.cls} has no parameter {name}"
        assert module[name].shape == arrays[index].shape, (
            f"{name}: {module[name].shape}, operand {arrays[index].shape}"
        )
        module[name] = to_mlx(arrays[index])
    assert {k for k, v in module.parameters().items() if isinstance(v, mx.array)} == {
        n for _, n in layer.params
    }
    out = module.eval()(*call_arguments(layer, node, arrays))
    expected = reference(node, arrays, sizes)
    results = flat(out) if node.row.several else [out]
    for found, wanted, value in zip(results, expected, node.results, strict=True):
        close(to_numpy(found, value.type), wanted, value.tensor.dtype)


def build(layer: Layer, node: Node, sizes: dict[str, int]) -> nn.Module:
    scope = {"mx": mx, "nn": nn, **sizes, **helpers(used_helpers(layer))}
    names = [f"a{i}" for i in range(len(node.operands))]

    def width(operand: int, axis: int) -> str:
        return str(concrete(node.type(operand).shape[axis], sizes))

    args = [render(a, names, width) for a in layer.args] + [
        f"{k}={render(v, names, width)}" for k, v in layer.kwargs
    ]
    return eval(f"{layer.cls.removeprefix('runtime.')}({', '.join(args)})", scope)


def call_arguments(layer: Layer, node: Node, arrays: list[Any]) -> list[Any]:
    if layer.inputs is None:
        weights = {i for i, _ in layer.params}
        return [
            to_mlx(a)
            for i, a in enumerate(arrays)
            if i not in weights and isinstance(a, np.ndarray)
        ]
    scope = {f"a{i}": to_mlx(a) for i, a in enumerate(arrays) if isinstance(a, np.ndarray)}
    return [eval(render(t, [f"a{i}" for i in range(len(arrays))]), scope) for t in layer.inputs]


def test_every_row_has_a_case() -> None:
    covered = {line.partition("(")[0] for line in LINES}
    assert sorted(TABLE.keys() - covered) == []


def test_duplicate_row_is_refused() -> None:
    row = TABLE["add"]
    with pytest.raises(ValueError, match="two rows for the op add"):
        table([row], [row])


def test_incomplete_row_is_refused() -> None:
    with pytest.raises(ValueError, match="no reference"):
        table([Op("odd", "x", lambda x: x, lambda n, x: x, None)])  # type: ignore[arg-type]


def test_page_of_ops_is_up_to_date(root: Path) -> None:
    assert (root / "docs" / "ops.md").read_text() == ops_page(), (
        "run python -m mlx_transpile.ir.doc > docs/ops.md"
    )
