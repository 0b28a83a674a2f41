"""Every row of the op table: what it prints, run in MLX, beside its NumPy reference, at two sizes; layers too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from op_harness import (
    close,
    close_of,
    concrete,
    flat,
    helpers,
    run_mlx,
    to_mlx,
    to_numpy,
    used_helpers,
)
from op_inputs import LINES, REAL, SIZES, WITH_LAYER, array_of, node_of, reference

from mlx_transpile.codegen.render import render
from mlx_transpile.ir import TABLE, Node
from mlx_transpile.ir.doc import ops_page
from mlx_transpile.ir.op import Op, table
from mlx_transpile.ir.tree import Keyword, Layer


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("sizes", SIZES, ids=["small", "large"])
def test_emitted_code_beside_the_reference(line: str, sizes: dict[str, int]) -> None:
    node = node_of(line)
    arrays = [array_of(node, i, sizes) for i in range(len(node.operands))]
    expected = reference(node, arrays, sizes)
    for found, wanted, value in zip(
        run_mlx(node, arrays, sizes), expected, node.results, strict=True
    ):
        close_of(node, found, wanted, value.tensor.dtype)


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
            close_of(node, found, wanted, value.tensor.dtype)


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
    given, named = call_arguments(layer, node, arrays)
    out = module.eval()(*given, **named)
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


def call_arguments(layer: Layer, node: Node, arrays: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    weights = {i for i, _ in layer.params}
    given = {i: to_mlx(a) for i, a in enumerate(arrays) if isinstance(a, np.ndarray)}
    if layer.inputs is None:
        return [a for i, a in given.items() if i not in weights], {}
    names, scope = [f"a{i}" for i in range(len(arrays))], {f"a{i}": a for i, a in given.items()}
    named = [t for t in layer.inputs if isinstance(t, Keyword)]
    positional = [eval(render(t, names), scope) for t in layer.inputs if t not in named]
    return positional, {t.name: eval(render(t.of, names), scope) for t in named}


def test_every_row_has_a_case() -> None:
    covered = {line.partition("(")[0] for line in LINES}
    covered |= {"branch", "loop", "read_size"}  # statements: codegen/test_control.py
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
