"""Every row of the ATen table beside torch: the interpreted graph, its text, the emitted MLX, and symbolic sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from aten_cases import CASES, REFUSED
from op_harness import close, run_graph

from mlx_transpile.errors import TranspileError
from mlx_transpile.frontend.aten import ATEN
from mlx_transpile.frontend.data_numbers import DataNumber
from mlx_transpile.frontend.draws import recorded
from mlx_transpile.frontend.schema import DROPPED, dtype_from_torch, from_torch
from mlx_transpile.ir import Builder, Graph, Tensor, Unequal, Value
from mlx_transpile.ir.dims import Expr, evaluate, symbol
from mlx_transpile.ir.graph import leaves, map_structure
from mlx_transpile.ir.interpret import interpret
from mlx_transpile.ir.recipe import Constant
from mlx_transpile.ir.text import parse_graph, print_graph
from mlx_transpile.ir.types import dtype_of
from mlx_transpile.ir.verify import verify
from mlx_transpile.replay import replayed

FREE = {5: "B", 7: "L"}
# Rows whose torch counterpart does not run here, or gives memory that nobody wrote.
_OTHER_DEVICE = (
    "cuda",
    "pin_memory",
    "_fused_rms_norm",
    "cudnn_batch_norm",
    "_batch_norm_no_update",
    "convolution_overrideable",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
)
_STAND_IN = {
    name: lambda x, *a, **k: x for name in ("cuda", "pin_memory", "data", "requires_grad_")
}
_STAND_IN["_fused_rms_norm"] = lambda *a: (torch.rms_norm(*a),)
_STAND_IN["convolution_overrideable"] = lambda *a: torch.ops.aten.convolution(*a)
for _name in ("cudnn_batch_norm", "_batch_norm_no_update"):
    _STAND_IN[_name] = lambda x, w, b, m, v, *a: (
        torch.batch_norm(x, w, b, m, v, False, 0.1, 1e-5, False),
    )
for _name in (
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_fused_attention_overrideable",
):
    _STAND_IN[_name] = lambda q, k, v, *a: (
        torch.nn.functional.scaled_dot_product_attention(q, k, v),
    )
for _name in ("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention"):
    _STAND_IN[_name] = lambda q, k, v, m, *a: (
        torch.nn.functional.scaled_dot_product_attention(q, k, v, m),
    )
_EMPTY = (
    "empty",
    "empty_strided",
    "empty_permuted",
    "empty_like",
    "new_empty",
    "new_empty_strided",
)


def key_of(name: str) -> str:
    """The row that serves an overload."""
    base = name.partition(".")[0]
    return name if name in ATEN else base if base in ATEN else base.removesuffix("_")


def schema_of(name: str):
    op, _, overload = name.partition(".")
    found = [
        s
        for s in torch._C._jit_get_schemas_for_operator(f"aten::{op}")
        if s.overload_name == overload
    ]
    return (
        found[0] if found else getattr(getattr(torch.ops.aten, op), overload or "default")._schema
    )


def torch_result(name: str, args: tuple, kwargs: dict) -> Any:
    op, _, overload = name.partition(".")
    copies = [a.clone() if isinstance(a, torch.Tensor) else a for a in args]
    if op in _STAND_IN:
        return _STAND_IN[op](*copies, **kwargs)
    if (
        hasattr(torch.ops.aten, op)
        and (overload or "default") in getattr(torch.ops.aten, op).overloads()
    ):
        return getattr(getattr(torch.ops.aten, op), overload or "default")(*copies, **kwargs)
    return torch._C._jit_get_operation(f"aten::{op}")[0](*copies, **kwargs)


class Call:
    """One call of a row on a small graph."""

    def __init__(self, name: str, args: tuple, kwargs: dict, free: dict[int, str]):
        self.graph, self.arrays, self.free = Graph("case"), [], free
        bound = from_torch(schema_of(name)).bind(args, kwargs)
        parameters = from_torch(schema_of(name)).parameters
        kept = [p for p in parameters if p.name not in DROPPED]
        positional = [self.lift(bound[p.name]) for p in kept if not p.keyword]
        keywords = {p.name: self.lift(bound[p.name]) for p in kept if p.keyword}
        result = ATEN[key_of(name)](Builder(self.graph), *positional, **keywords)
        self.graph.result = map_structure(_as_value, result)

    def lift(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            array = to_numpy(value)
            shape = tuple(symbol(self.free[d]) if d in self.free else d for d in value.shape)
            name = f"x{len(self.arrays)}"
            self.arrays.append(array)
            operand = Value(Tensor(dtype_of(array), shape), name)
            self.graph.arguments.append((name, operand))
            return operand
        if isinstance(value, torch.dtype):
            return dtype_from_torch(value)
        return [self.lift(v) for v in value] if isinstance(value, list | tuple) else value


def _as_value(item: Any) -> Any:
    return item.value if isinstance(item, DataNumber) else item


def to_numpy(value: torch.Tensor) -> np.ndarray:
    value = value.detach().resolve_conj()
    if value.dtype is torch.bfloat16:
        import ml_dtypes

        return value.float().numpy().astype(ml_dtypes.bfloat16)
    return value.numpy()


def compare(found: Any, expected: Any, only_shape: bool = False) -> None:
    """Results that a row gives beside torch's; None stands for one that nothing forward reads."""
    if found is None:
        return
    if isinstance(expected, tuple | list) and not isinstance(expected, torch.Size):
        for a, b in zip(
            found if isinstance(found, tuple | list) else [found], expected, strict=False
        ):
            compare(a, b, only_shape)
    elif isinstance(expected, torch.Tensor):
        array, wanted = np.asarray(found), to_numpy(expected)
        assert array.dtype == wanted.dtype, f"{array.dtype}, torch gives {wanted.dtype}"
        if only_shape:
            assert array.shape == wanted.shape
        else:
            close(array, wanted, dtype_of(wanted))
    else:
        assert list(found) == list(expected) if isinstance(found, list) else found == expected


def names(cases: list[tuple]) -> list[str]:
    return [name for name, _, _ in cases]


@pytest.mark.parametrize(("name", "args", "kwargs"), CASES, ids=names(CASES))
def test_row_computes_what_torch_computes(name: str, args: tuple, kwargs: dict) -> None:
    call = Call(name, args, kwargs, {})
    verify(call.graph)
    text = print_graph(call.graph)
    assert print_graph(parse_graph(text)) == text
    if key_of(name) in _RETURN_NOTHING:
        assert call.graph.result is None and not call.graph.nodes
        return
    with recorded() as drawn:
        expected = torch_result(name, args, kwargs)
    only_shape = name.partition(".")[0] in _EMPTY
    found = interpret(call.graph, call.arrays, {}, draws=dict(enumerate(drawn)))
    compare(found, expected, only_shape)
    with replayed(drawn):
        compare(run_graph(call.graph, call.arrays, {}), expected, only_shape)


@pytest.mark.parametrize(("name", "args", "kwargs"), CASES, ids=names(CASES))
def test_row_keeps_sizes_symbolic(name: str, args: tuple, kwargs: dict) -> None:
    """A row that accepts free sizes gives the same numbers; one that needs fixed sizes says so."""
    try:
        call = Call(name, args, kwargs, FREE)
    except (TranspileError, Unequal):
        assert key_of(name) not in MUST_BE_SYMBOLIC
        return
    if key_of(name) in _RETURN_NOTHING or name.partition(".")[0] in _EMPTY:
        return
    verify(call.graph)
    text = print_graph(call.graph)
    assert print_graph(parse_graph(text)) == text
    with recorded() as drawn:
        expected = torch_result(name, args, kwargs)
    sizes = {n: size for size, n in FREE.items()}
    if any(isinstance(v, Expr) for v in leaves(call.graph.result)):
        found = [evaluate(v, sizes) for v in leaves(call.graph.result)]
        assert (
            found == list(expected) if isinstance(expected, list | tuple) else found == [expected]
        )
        return
    found = interpret(call.graph, call.arrays, {}, draws=dict(enumerate(drawn)))
    compare(found, expected)
    with replayed(drawn):
        compare(run_graph(call.graph, call.arrays, sizes), expected)


_RETURN_NOTHING = {k for k in ATEN if "assert" in k or "constrain" in k or k == "warn"}
MUST_BE_SYMBOLIC = {
    "add",
    "mul",
    "linear",
    "matmul",
    "layer_norm",
    "softmax",
    "scaled_dot_product_attention",
    "embedding",
    "cat",
    "stack",
    "lstm",
    "gru",
    "conv1d",
    "batch_norm",
    "max_pool1d",
    "cumsum",
    "sum.dim_IntList",
    "mean.dim",
    "transpose",
    "permute",
    "unsqueeze",
    "flatten",
    "slice",
    "select",
    "where",
    "masked_fill",
    "gelu",
    "silu",
    "tril",
    "triu",
    "gather",
    "index_select",
    "expand_as",
    "roll",
    "pad",
    "_native_multi_head_attention",
    "_transformer_encoder_layer_fwd",
}


@pytest.mark.parametrize(("name", "args", "kwargs"), REFUSED, ids=names(REFUSED))
def test_row_refuses_with_a_way_out(name: str, args: tuple, kwargs: dict) -> None:
    with pytest.raises(TranspileError) as error:
        Call(name, args, kwargs, {})
    assert error.value.what


def test_imaginary_unit_of_the_code_is_a_number() -> None:
    """`1j * x`: the source holds 1j as a 0-d tensor."""
    graph = Graph("case")
    data = np.array(1j, np.complex64)
    unit = graph.param("unit", Tensor(dtype_of(data), ()), Constant(data, "1j"), buffer=True)
    x = Value(Tensor(dtype_of(np.zeros(1, np.float32)), (3,)), "x")
    graph.arguments.append(("x", x))
    graph.result = ATEN["mul"](Builder(graph), unit, x)
    assert graph.nodes[-1].operands[0] == 1j
    values = np.arange(3, dtype=np.float32)
    np.testing.assert_array_equal(run_graph(graph, [values], {}), 1j * values)


def test_every_row_has_a_case() -> None:
    covered = {key_of(name) for name, _, _ in CASES + REFUSED}
    assert sorted(ATEN.keys() - covered) == []


def test_core_aten_is_covered() -> None:
    """All op packets that torch tags as core, except gradients."""
    core = {
        name
        for name in dir(torch.ops.aten)
        for overload in getattr(getattr(torch.ops.aten, name), "overloads", list)()
        if torch.Tag.core in getattr(getattr(torch.ops.aten, name), overload).tags
    }
    missing = {n for n in core if n not in ATEN and not n.endswith("_backward")}
    assert missing == set()
