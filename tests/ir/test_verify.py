"""The verifier's complaints, and the checks of op rows on what they are given."""

from __future__ import annotations

import numpy as np
import pytest

from mlx_transpile.ir import TABLE, Builder, Graph, InferError, Node, Tensor, Unequal, Value
from mlx_transpile.ir.dims import symbol
from mlx_transpile.ir.graph import Param, Scope
from mlx_transpile.ir.interpret import InterpretError, interpret
from mlx_transpile.ir.recipe import Read
from mlx_transpile.ir.text import parse_graph
from mlx_transpile.ir.types import F32, I64
from mlx_transpile.ir.verify import VerifyError, verify

B, L = symbol("B"), symbol("L")


def small() -> Graph:
    return parse_graph(
        "@graph('Net')\ndef forward(x: f32[B, 4]):\n    with module('proj', 'Linear'):\n"
        "        h: f32[B, 3] = linear(x, param('proj.weight', f32[3, 4]), None, at='net.py:3')\n"
        "    y: f32[B, 3] = exp(h)\n    return y\n"
    )


def wrong_type(graph: Graph) -> None:
    graph.nodes[1].out.type = Tensor(F32, (B, 4))


def before_its_definition(graph: Graph) -> None:
    graph.nodes.reverse()


def unlisted_parameter(graph: Graph) -> None:
    graph.nodes[0].operands[1] = Param("proj.weight", Tensor(F32, (3, 4)), Read("proj.weight"))


def undefined_result(graph: Graph) -> None:
    graph.result = Value(Tensor(F32, (B,)), "lost")


def foreign_scope(graph: Graph) -> None:
    graph.nodes[1].scope = Scope("elsewhere", "Other")


def unknown_attribute(graph: Graph) -> None:
    graph.nodes[1].attrs["speed"] = 1


def symbolic_parameter(graph: Graph) -> None:
    graph.params["proj.weight"].type = Tensor(F32, (L, 4))


COMPLAINTS = [
    (wrong_type, r"exp in the root: has the type f32\[B, 4\], its operands give f32\[B, 3\]"),
    (before_its_definition, "exp in the root: reads .* before anything defines it"),
    (
        unlisted_parameter,
        r"linear in proj \(net.py:3\): reads the parameter proj.weight, which the graph",
    ),
    (undefined_result, "the graph returns Value.'lost'.*which nothing defines"),
    (foreign_scope, "its scope is not in the graph's scope tree"),
    (unknown_attribute, "exp has no attribute speed"),
    (symbolic_parameter, "its shape must be known"),
]


@pytest.mark.parametrize(("spoil", "message"), COMPLAINTS, ids=lambda v: getattr(v, "__name__", ""))
def test_complaint(spoil, message: str) -> None:
    graph = small()
    verify(graph)
    spoil(graph)
    with pytest.raises(VerifyError, match=message):
        verify(graph)


def value(*shape, dtype=F32) -> Value:
    return Value(Tensor(dtype, shape))


REFUSED = [
    ("mixed element types", "add", [value(B), value(B, dtype=I64)], {}, "different dtypes: f32, i64"),
    ("no tensor", "add", [1, 2], {}, "no operand is a tensor"),
    ("too few operands", "where", [value(B)], {}, r"where takes operands \(condition a b\), got 1"),
    ("condition of floats", "where", [value(B), 1.0, value(B)], {}, "boolean condition"),
    ("missing attribute", "softmax", [value(B)], {}, "softmax lacks its attribute axis"),
    ("attribute of a wrong kind", "softmax", [value(B)], {"axis": "last"}, "is not of kind axis"),
    ("function of integers", "exp", [value(B, dtype=I64)], {}, "floating point"),
    ("float indices", "take", [value(B), value(L)], {"axis": 0}, "integer indices"),
    ("sum of booleans", "sum", [value(B, dtype=TABLE["isnan"].infer(value(B).type).dtype)], {"axes": (0,)}, "overflow"),
    ("axes out of range", "mean", [value(B)], {"axes": (1,)}, "out of range"),
    ("odd permutation", "transpose", [value(B, L)], {"axes": (0, 0)}, "no permutation"),
    ("heads and groups", "attention", [value(B, 3, L, 8), value(B, 2, L, 8), value(B, 2, L, 8), None], {"scale": 1.0, "causal": "none"}, "no multiple"),
    ("groups of channels", "group_norm", [value(B, L, 4), None, None], {"groups": 3}, "no multiple"),
    ("step 0", "arange", [], {"stop": 3, "step": 0, "dtype": I64}, "other than 0"),
    ("halves of an odd axis", "glu", [value(B, 3)], {"axis": 1}, "halves"),
    ("integer transform", "rfft", [value(B, dtype=I64)], {"axes": (0,)}, "cast"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("op", "operands", "attrs", "message"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_row_refuses(op: str, operands: list, attrs: dict, message: str) -> None:
    with pytest.raises(InferError, match=message):
        Builder(Graph("case")).op(op, *operands, **attrs)


EQUATIONS = [
    ("add", [value(B), value(L)], {}, (B, L)),
    ("matmul", [value(B, 4), value(L, 3)], {}, (4, L)),
    ("linear", [value(B, L), value(3, 4), None], {}, (L, 4)),
    ("reshape", [value(B, L)], {"shape": (B, 4)}, (B * L, 4 * B)),
    ("concatenate", [value(B, 2), value(L, 2)], {"axis": 1}, (B, L)),
    ("squeeze", [value(B, L)], {"axes": (1,)}, (L, 1)),
    ("conv", [value(B, L, 4), value(6, 3, 5), None], {"stride": (1,), "padding": (0,), "dilation": (1,)}, (4, 5)),
]  # fmt: skip


@pytest.mark.parametrize(("op", "operands", "attrs", "sides"), EQUATIONS)
def test_unequal_sizes_are_an_equation(op: str, operands: list, attrs: dict, sides: tuple) -> None:
    """What a frontend solves: the two sides, as dims."""
    with pytest.raises(Unequal) as error:
        Builder(Graph("case")).op(op, *operands, **attrs)
    assert {error.value.left, error.value.right} == set(sides)


def test_interpreter_binds_sizes_and_complains() -> None:
    graph = small()
    weights = {"proj.weight": np.ones((3, 4), np.float32)}
    x = np.ones((2, 4), np.float32)
    np.testing.assert_allclose(interpret(graph, [x], weights), np.full((2, 3), np.exp(4.0)), 1e-6)
    with pytest.raises(InterpretError, match="a dim is 5, 4 is 4"):
        interpret(graph, [np.ones((2, 5), np.float32)], weights)
    with pytest.raises(InterpretError, match="rank 1"):
        interpret(graph, [np.ones(4, np.float32)], weights)


def test_replacement_follows_chains_and_names() -> None:
    graph = small()
    h, y = (n.out for n in graph.nodes)
    scope = graph.nodes[0].scope
    scope.names[h] = "hidden"
    graph.replace({h: graph.inputs[0], y: h})
    assert graph.result is graph.inputs[0]
    assert scope.names == {graph.inputs[0]: "hidden"}


def test_node_types_of_operands() -> None:
    node: Node = small().nodes[0]
    assert node.type(0) == Tensor(F32, (B, 4))
    with pytest.raises(TypeError, match="operand 2 of linear is None"):
        node.type(2)
