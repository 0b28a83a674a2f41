"""Modules of flat graphs: what is one module, what is in a list, and what things are called."""

from __future__ import annotations

import pytest
from pass_tools import calls_made, graph_of

from mlx_transpile.ir import Graph
from mlx_transpile.ir.text import parse_graph, print_graph
from mlx_transpile.ir.verify import verify
from mlx_transpile.passes.find_modules import find_modules

HEAD = "@graph('Net', 'flat')\n"


def found(body: str, arguments: str = "x: f32[B, L, 8]", head: str = HEAD) -> Graph:
    lines = "\n".join(f"    {line.strip()}" for line in body.strip().splitlines())
    graph = graph_of(f"{head}def forward({arguments}):\n{lines}")
    changed = find_modules(graph)
    assert changed == (head == HEAD) and not graph.flat
    verify(graph)
    again = parse_graph(print_graph(graph))
    assert print_graph(again) == print_graph(graph)
    return graph


def modules(graph: Graph) -> dict[str, str]:
    return {s.path: s.cls for s in graph.scopes() if s.path}


def block(i: int, x: str, op: str = "relu", option: str = "") -> str:
    """x + relu(norm(x) @ a.T) @ b.T"""
    return f"""
    n{i}: f32[B, L, 8] = layer_norm({x}, param('n{i}', f32[8]), param('m{i}', f32[8]), eps=1e-05)
    a{i}: f32[B, L, 16] = linear(n{i}, param('u{i}', f32[16, 8]), None)
    r{i}: f32[B, L, 16] = {op}(a{i}{option})
    b{i}: f32[B, L, 8] = linear(r{i}, param('v{i}', f32[8, 16]), None)
    y{i}: f32[B, L, 8] = add({x}, b{i})
    """


def stack(*blocks: str) -> str:
    return "".join(blocks) + f"return y{len(blocks) - 1}"


def test_blocks_that_repeat_are_a_list() -> None:
    graph = found(stack(block(0, "x"), block(1, "y0"), block(2, "y1")))
    assert modules(graph) == {
        f"layers.{i}{part}": cls
        for i in range(3)
        for part, cls in (
            ("", "Block"), (".mlp_norm", "LayerNorm"), (".mlp", "MLP"), (".mlp.fc1", "Linear"),
            (".mlp.fc2", "Linear"),
        )
    }  # fmt: skip
    assert list(graph.params)[:4] == [
        "layers.0.mlp_norm.weight", "layers.0.mlp_norm.bias", "layers.0.mlp.fc1.weight",
        "layers.0.mlp.fc2.weight",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("op", "option"), [("silu", ""), ("leaky_relu", ", slope=0.2"), ("leaky_relu", ", slope=0.1")]
)
def test_blocks_that_differ_are_no_repetition(op: str, option: str) -> None:
    like = block(0, "x", "leaky_relu", ", slope=0.3")
    graph = found(stack(like, block(1, "y0", op, option)))
    assert "layers.0" not in modules(graph)


def test_a_graph_with_modules_is_left_alone() -> None:
    graph = found(stack(block(0, "x"), block(1, "y0")), head="@graph('Net')\n")
    assert modules(graph) == {}
    assert "u0" in graph.params


def test_attention_names_its_projections() -> None:
    heads = "".join(
        f"{p}: f32[B, L, 8] = linear(n, param('w{p}', f32[8, 8]), None)\n"
        f"{p}1: f32[B, L, 2, 4] = reshape({p}, shape=(B, L, 2, 4))\n"
        f"{p}2: f32[B, 2, L, 4] = transpose({p}1, axes=(0, 2, 1, 3))\n"
        for p in "qkv"
    )
    graph = found(f"""
    n: f32[B, L, 8] = rms_norm(x, param('g', f32[8]), eps=1e-06)
    {heads}
    o: f32[B, 2, L, 4] = attention(q2, k2, v2, None, scale=0.5)
    o1: f32[B, L, 2, 4] = transpose(o, axes=(0, 2, 1, 3))
    o2: f32[B, L, 8] = reshape(o1, shape=(B, L, 8))
    p: f32[B, L, 8] = linear(o2, param('wo', f32[8, 8]), None)
    y: f32[B, L, 8] = add(x, p)
    return y
    """)
    assert {p.name for p in graph.params.values()} == {
        "attention_norm.weight",
        *(f"self_attn.{p}_proj.weight" for p in "qkvo"),
    }


def test_a_gate_names_its_projections() -> None:
    graph = found("""
    g: f32[B, L, 16] = linear(x, param('a', f32[16, 8]), None)
    s: f32[B, L, 16] = silu(g)
    u: f32[B, L, 16] = linear(x, param('b', f32[16, 8]), None)
    m: f32[B, L, 16] = multiply(s, u)
    d: f32[B, L, 8] = linear(m, param('c', f32[8, 16]), None)
    y: f32[B, L, 8] = add(x, d)
    return y
    """)
    assert [p.name for p in graph.params.values()] == [
        "mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight",
    ]  # fmt: skip


def test_what_all_layers_read_stays_outside() -> None:
    """A mask that the first layer computes first is no part of it."""
    masked = [
        block(i, x).replace(f"b{i}: f32[B, L, 8] = linear(r{i}", f"b{i}: f32[B, L, 8] = linear(k{i}")
        for i, x in enumerate(("x", "y0"))
    ]  # fmt: skip
    masked = [
        text.replace(f"    b{i}:", f"    k{i}: f32[B, L, 16] = multiply(r{i}, mask)\n    b{i}:")
        for i, text in enumerate(masked)
    ]
    graph = found(
        "mask: f32[1, L, 16] = exp(z)\n" + stack(*masked), "x: f32[B, L, 8], z: f32[1, L, 16]"
    )
    assert next(n for n in graph.nodes if n.op == "exp").scope is graph.root
    assert "layers.1" in modules(graph)


def test_equal_vectors_that_an_exporter_merged_are_apart_again() -> None:
    text = stack(block(0, "x"), block(1, "y0")).replace("'n1'", "'n0'").replace("'m1'", "'m0'")
    graph = found(text)
    norms = [p for p in graph.params.values() if "mlp_norm.weight" in p.name]
    assert [p.name for p in norms] == ["layers.0.mlp_norm.weight", "layers.1.mlp_norm.weight"]
    assert norms[0].recipe == norms[1].recipe


def test_work_grows_with_the_size_alone() -> None:
    def work(count: int) -> int:
        inputs = ["x", *(f"y{i}" for i in range(count))]
        lines = stack(*(block(i, inputs[i]) for i in range(count)))
        graph = graph_of(HEAD + "def forward(x: f32[B, L, 8]):" + lines.replace("\n    ", "\n  "))
        return calls_made(lambda: find_modules(graph))

    assert work(400) < 4 * work(100) * 1.5  # squares would take 16 times as many
