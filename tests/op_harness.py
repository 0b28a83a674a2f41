"""Runs one node three ways: emitted Python in MLX, and the NumPy reference."""

from __future__ import annotations

import re
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from mlx_transpile.codegen.render import render
from mlx_transpile.ir import Graph, Node, Tensor, Value
from mlx_transpile.ir.dims import Expr, evaluate, symbols
from mlx_transpile.ir.graph import map_structure
from mlx_transpile.ir.types import DType
from mlx_transpile.runtime import helper_closure

_HELPERS: dict[str, Any] = {}


def helpers(names: list[str]) -> dict[str, Any]:
    """The named runtime helpers, built from the text that goes into emitted code."""
    missing = [n for n in names if n not in _HELPERS]
    if missing:
        for helper in helper_closure(missing):
            if helper.name not in _HELPERS:
                exec("\n".join(helper.imports) + "\n" + helper.source, _HELPERS)
    return _HELPERS


def code_of(node: Node, names: dict[Value, str]) -> str:
    """The Python expression that the node prints as."""
    operands = [names[o] if isinstance(o, Value) else "" for o in node.operands]
    return render(node.row.tree(node), operands)


def used_helpers(tree: Any) -> list[str]:
    return sorted(set(re.findall(r"runtime\.(\w+)", repr(tree))))


def run_mlx(node: Node, arrays: list[Any], sizes: dict[str, int]) -> list[np.ndarray]:
    """The emitted expression on MLX arrays."""
    names = {o: f"a{i}" for i, o in enumerate(node.operands) if isinstance(o, Value)}
    scope = {"mx": mx, "nn": nn, **helpers(used_helpers(node.row.tree(node))), **sizes}
    scope |= {f"a{i}": to_mlx(a) for i, a in enumerate(arrays) if isinstance(a, np.ndarray)}
    out = eval(code_of(node, names), scope)
    outs = flat(out) if node.row.several else [out]
    return [to_numpy(o, node.results[i].type) for i, o in enumerate(outs)]


def flat(out: Any) -> list[Any]:
    """Results one after another: a layer's (h, c) stands inside a tuple."""
    return [
        leaf for item in out for leaf in (flat(item) if isinstance(item, tuple | list) else [item])
    ]


def to_mlx(array: np.ndarray) -> mx.array:
    if array.dtype.name == "bfloat16":
        return mx.array(array.astype(np.float32)).astype(mx.bfloat16)
    return mx.array(array)


def to_numpy(array: Any, kind: Any) -> np.ndarray:
    """As NumPy; the element type must be the one that `infer` gave."""
    if not isinstance(array, mx.array):
        return np.asarray(array)
    if isinstance(kind, Tensor):
        assert array.dtype == getattr(mx, kind.dtype.mlx), (
            f"MLX gives {array.dtype}, the row says {kind.dtype}"
        )
    return np.array(array.astype(mx.float32)) if array.dtype == mx.bfloat16 else np.array(array)


def concrete(value: Any, sizes: dict[str, int]) -> Any:
    if isinstance(value, Expr):
        return evaluate(value, sizes)
    return tuple(concrete(v, sizes) for v in value) if isinstance(value, tuple) else value


def size_names(node: Node) -> set[str]:
    return {
        s.name
        for r in node.results
        if isinstance(r.type, Tensor)
        for d in r.type.shape
        for s in symbols(d)
    }


def close(
    found: np.ndarray, expected: np.ndarray, dtype: DType, rtol: float = 1e-4, atol: float = 2e-5
) -> None:
    """Same shape, and values alike within the precision of the type."""
    assert found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}"
    if dtype in (DType.f16, DType.bf16):
        rtol, atol = 2e-2, 2e-2
    kind = np.complex128 if dtype.is_complex else np.float64
    np.testing.assert_allclose(found.astype(kind), expected.astype(kind), rtol=rtol, atol=atol)


def close_of(
    node: Node, found: np.ndarray, expected: np.ndarray, dtype: DType, **limits: float
) -> None:
    """As `close`; random numbers are alike by their distribution, where there are many."""
    if not node.row.random:
        close(found, expected, dtype, **limits)
        return
    assert found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}"
    if found.size < 99:
        return
    a, b = (x.astype(np.complex128 if dtype.is_complex else np.float64) for x in (found, expected))
    spread = b.std()
    assert abs(a.mean() - b.mean()) < 0.3 * spread
    assert abs(a.std() / spread - 1) < 0.2
    if dtype is not DType.bool:
        ours, theirs = (np.quantile(x.real, [0.1, 0.25, 0.75, 0.9]) for x in (a, b))
        np.testing.assert_allclose(ours, theirs, atol=0.3 * spread + dtype.is_integer)


def run_graph(graph: Graph, arrays: list[np.ndarray], sizes: dict[str, int]) -> Any:
    """A graph without parameters, node by node as emitted Python."""
    known: dict[Any, Any] = dict(zip(graph.inputs, map(to_mlx, arrays), strict=True))
    sizes = dict(sizes)
    for node in graph.nodes:
        used = {o: f"a{i}" for i, o in enumerate(node.operands) if isinstance(o, Value)}
        tree = node.row.tree(node)
        scope = {"mx": mx, "nn": nn, **helpers(used_helpers(tree)), **sizes} | {
            n: known[v] for v, n in used.items()
        }
        out = eval(code_of(node, used), scope)
        for value, result in zip(
            node.results, flat(out) if node.row.several else [out], strict=True
        ):
            to_numpy(result, value.type)
            known[value] = result
            sizes |= _found(value, result)
    return map_structure(lambda v: as_numpy(known[v]) if isinstance(v, Value) else v, graph.result)


def _found(value: Value, result: Any) -> dict[str, int]:
    """The sizes that a result tells."""
    if not isinstance(value.type, Tensor):
        return {str(value.type.value): result}
    pairs = zip(value.type.shape, result.shape, strict=True)
    return {str(d): n for d, n in pairs if isinstance(d, Expr) and str(d).isidentifier()}


def as_numpy(array: mx.array) -> np.ndarray:
    if array.dtype == mx.bfloat16:
        import ml_dtypes

        return np.array(array.astype(mx.float32)).astype(ml_dtypes.bfloat16)
    return np.array(array)
