"""The text form: valid Python that reads back to the same graph, and what it refuses."""

from __future__ import annotations

import ast
import hashlib

import numpy as np
import pytest

from mlx_transpile.ir import Builder, Graph, Scope, Source, Tensor, Value
from mlx_transpile.ir.dims import symbol
from mlx_transpile.ir.recipe import Add, Cast, Concatenate, Constant, Permute, Read, Reshape, Slice
from mlx_transpile.ir.text import ParseError, constants_of, parse_graph, print_graph
from mlx_transpile.ir.types import F32, I64, DType

LLAMA_LIKE = """\
@graph('Net', L=(1, 512))
def forward(x: f32[B, L, 8], mask: bool[B, L]):
    with module('layers.0', 'Block', names={'x': 'hidden_states'}):
        with module('layers.0.proj', 'Linear'):
            h: f32[B, L, 4] = linear(x, param('layers.0.proj.weight', f32[4, 8]), None, at='net.py:7')
        left, right = split(h, sizes=(2, 2), axis=2, types=[f32[B, L, 2], f32[B, L, 2]])
        h__2: f32[B, L, 2] = multiply(left, right, by=['fold'])
    scores: f32[B, L, 2] = where(expand_dims, -inf, h__2)
    return {'out': scores, 'parts': (left, [right]), 'none': None}
"""
PACKED = (
    "dequantize(slice(unpack(read('q'), 4), 1, 0, 6), read('s'), number(8.0), 4, 0, (3, 2), 1, 4)"
)
TEXTS = {
    "packed weights": (
        "@graph('Net')\ndef forward(x: f32[B, 6]):\n"
        f"    linear: f32[B, 3] = linear(x, param('w', f32[3, 6], recipe={PACKED}), None)\n"
        "    return linear\n"
    ),
    "no nodes": "@graph('Net')\ndef forward(x: f32[B]):\n    return x\n",
    "rank 0": "@graph('Net')\ndef forward(x: f32[()]):\n    exp: f32[()] = exp(x)\n    return exp\n",
    "nested arguments": (
        "@graph('Net')\ndef forward(pair: ((a := f32[B]), [(b := f32[B])])):\n"
        "    add: f32[B] = add(a, b)\n    return add\n"
    ),
    "sizes as operands": (
        "@graph('Net')\ndef forward(x: f32[B, L]):\n"
        "    multiply: f32[B, L] = multiply(x, B*L + 2)\n    return multiply\n"
    ),
    "complex scalar": (
        "@graph('Net')\ndef forward(x: c64[B]):\n"
        "    multiply: c64[B] = multiply(x, 1j)\n    return multiply\n"
    ),
    "called again": (
        "@graph('Net')\ndef forward(x: f32[B]):\n    with module('act', 'ReLU'):\n"
        "        relu: f32[B] = relu(x)\n    with module('act', 'ReLU', call=1):\n"
        "        relu__2: f32[B] = relu(relu)\n    return relu__2\n"
    ),
    "parameter returned": (
        "@graph('Net')\ndef forward(x: f32[B]):\n    return (x, param('w', f32[3]))\n"
    ),
    "recipes": (
        "@graph('Net')\ndef forward(x: f32[B, 4]):\n"
        "    linear: f32[B, 4] = linear(x, param('w', f32[4, 4], "
        "recipe=permute(cast(concatenate([slice(read('a'), 0, 0, 2), read('b')], 0), f32), (1, 0))), None)\n"
        "    return linear\n"
    ),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_reads_back(text: str) -> None:
    ast.parse(text)
    assert print_graph(parse_graph(text)) == text


def test_graph_with_scopes_reads_back() -> None:
    text = LLAMA_LIKE.replace("expand_dims,", "keep,").replace(
        "    scores:", "    keep: bool[B, L, 1] = expand_dims(mask, axes=(2,))\n    scores:"
    )
    graph = parse_graph(text)
    assert print_graph(graph) == text
    linear = graph.nodes[0]
    assert linear.scope.path == "layers.0.proj" and linear.source.at == "net.py:7"
    assert [s.path for s in linear.scope.chain()] == ["", "layers.0", "layers.0.proj"]
    assert linear.scope.parent.names == {graph.inputs[0]: "hidden_states"}
    assert graph.nodes[2].by == ("fold",) and graph.nodes[2].out.hint == "h"
    assert graph.symbols()[1].high == 512


def test_names_stay_apart_and_hints_survive() -> None:
    graph = Graph("Net")
    x = Value(Tensor(F32, (symbol("B"),)), "x")
    graph.arguments.append(("x", x))
    b = Builder(graph)
    for hint in ("h", "h", "2 odd name!", "class", "f32", ""):
        b.hint = hint
        x = b.op("exp", x)
    graph.result = x
    text = print_graph(graph)
    again = parse_graph(text)
    assert print_graph(again) == text
    assert [n.out.hint for n in again.nodes] == ["h", "h", "_2_odd_name", "class", "f32", ""]


def test_hostile_names_are_strings_of_the_text() -> None:
    graph = Graph("Net'); import os #")
    scope = Scope('a"b\n', "C\\'", graph.root)
    w = graph.param('w"]\n', Tensor(F32, (2,)), Read('w"]\n'))
    b = Builder(graph)
    b.scope, b.source = scope, Source("x'.py:1\n")
    graph.result = b.op("exp", w)
    text = print_graph(graph)
    assert print_graph(parse_graph(text)) == text
    assert len(ast.parse(text).body) == 1


def test_constants_travel_beside_the_text() -> None:
    data = np.arange(6, dtype=np.int64)
    digest = hashlib.sha256(data.tobytes()).hexdigest()
    graph = Graph("Net")
    recipes = {
        "a": Constant(data, digest),
        "b": Reshape(Slice(Constant(data, digest), 0, 0, 6), (2, 3)),
        "c": Add(Permute(Read("q"), (0,)), Concatenate((Read("q"), Cast(Read("q"), I64)), 0)),
    }
    for name, recipe in recipes.items():
        graph.param(name, Tensor(I64, (6,)), recipe, buffer=True)
    graph.result = tuple(Builder(graph).op("negative", p) for p in graph.params.values())
    text = print_graph(graph)
    again = parse_graph(text, constants_of(graph))
    assert print_graph(again) == text
    assert again.params["a"].recipe.data.tolist() == data.tolist() and again.params["a"].buffer


REFUSED = {
    "no Python": "def forward(:",
    "no graph": "x = 1",
    "unknown op": "@graph('N')\ndef forward(x: f32[B]):\n    y: f32[B] = frobnicate(x)\n    return y",
    "no type": "@graph('N')\ndef forward(x: str):\n    return x",
    "other statement": "@graph('N')\ndef forward(x: f32[B]):\n    import os\n    return x",
    "unknown recipe": (
        "@graph('N')\ndef forward(x: f32[B]):\n"
        "    y: f32[B] = add(x, param('w', f32[1], recipe=download('w')))\n    return y"
    ),
    "odd dim": "@graph('N')\ndef forward(x: f32[B / 2]):\n    return x",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_is_no_graph(text: str) -> None:
    with pytest.raises(ParseError):
        parse_graph(text)


def test_every_element_type_has_a_name_that_reads_back() -> None:
    for dtype in DType:
        text = f"@graph('N')\ndef forward(x: {dtype}[B]):\n    return x\n"
        assert print_graph(parse_graph(text)) == text
