"""Emitted code draws random numbers statement by statement, in the order of the graph."""

from __future__ import annotations

import re

from graphs import emitted, linear

from mlx_transpile.codegen.cpp import emit_cpp
from mlx_transpile.ir.draws import draws


def drawn(source: str) -> list[list[str]]:
    """The functions of mx.random that each line calls, of lines that call some."""
    found = (
        re.findall(r"(?:mx\.random\.|mx::random::)(\w+)\(", line) for line in source.splitlines()
    )
    return [names for names in found if names and names != ["seed"]]


def draw(number: int, op: str = "normal", name: str = "") -> str:
    name = name or f"n{number}"
    return f"{name}: f32[B, L, 64] = random_{op}(None, shape=(B, L, 64), dtype=f32, draw={number})"


EXPRESSION = "\n".join(
    [
        draw(0),
        draw(1, "uniform"),
        draw(2),
        "a: f32[B, L, 64] = add(n2, x)",
        "b: f32[B, L, 64] = multiply(n0, n1)",
        "y: f32[B, L, 64] = subtract(a, b)",
        "return y",
    ]
)


def test_a_statement_draws_once() -> None:
    """An expression may stand later than it did, or in another order: a draw may not."""
    made = emitted(EXPRESSION)
    assert drawn(made.source) == [["normal"], ["uniform"], ["normal"]]
    assert made.recovered is not None
    graph = made.recovered.structure.plan.graph
    assert len(draws(graph)) == 3
    code = emit_cpp(graph, made.recovered, "Net").files["model.cpp"]
    assert drawn(code) == [["normal"], ["uniform"], ["normal"]]


def layer(path: str, x: str, out: str, number: int) -> str:
    inside = linear(f"{path}.lin", x, f"{out}_l") + "\n".join(
        [draw(number, name=f"{out}_n"), f"{out}: f32[B, L, 64] = add({out}_l, {out}_n)"]
    )
    lines = "\n".join("    " + line for line in inside.splitlines())
    return f"with module('{path}', 'Layer'):\n{lines}\n"


def test_layers_that_draw_are_a_loop() -> None:
    made = emitted(
        layer("layers.0", "x", "h0", 0) + layer("layers.1", "h0", "h1", 1)
        + layer("layers.2", "h1", "h2", 2) + "return h2"
    )  # fmt: skip
    assert made.source.count("mx.random.normal") == 1
    assert "for layer in self.layers:" in made.source


def test_a_draw_before_a_layer_that_draws_is_a_statement_before_it() -> None:
    made = emitted(
        draw(0, "uniform") + "\n" + layer("enc", "x", "h", 1)
        + "y: f32[B, L, 64] = multiply(h, n0)\nreturn y"
    )  # fmt: skip
    forward = made.source.partition("class Model(")[2]
    assert forward.index("mx.random.uniform") < forward.index("self.enc(x)")


def test_a_module_between_whose_draws_others_draw_is_written_in_its_caller() -> None:
    """Draws 0 and 2 are of one module, 1 of its caller: it cannot run as one call."""
    made = emitted(
        "with module('enc', 'Encoder'):\n"
        + "".join(f"    {line}\n" for line in linear("enc.lin", "x", "h").splitlines())
        + f"    {draw(0)}\n    a: f32[B, L, 64] = add(h, n0)\n"
        + f"{draw(1, 'uniform')}\n"
        + "with module('enc', 'Encoder'):\n"
        + f"    {draw(2)}\n    b: f32[B, L, 64] = add(a, n2)\n"
        + "y: f32[B, L, 64] = multiply(b, n1)\nreturn y"
    )  # fmt: skip
    assert drawn(made.source) == [["normal"], ["uniform"], ["normal"]]
    assert any("enc (Encoder) is written in its caller" in line for line in made.log)


def test_the_docstring_tells() -> None:
    assert "mx.random.seed(N)" in emitted(EXPRESSION).source
    quiet = emitted("y: f32[B, L, 64] = exp(x)\nreturn y").source
    assert quiet.startswith('"""Net in MLX, transpiled; see manifest.json."""\n')
