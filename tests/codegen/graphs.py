"""Graphs as text for the tests of code generation."""

from mlx_transpile.codegen import emit
from mlx_transpile.codegen.emitted import Emitted
from mlx_transpile.ir import Graph, Program
from mlx_transpile.ir.text import parse_graph
from mlx_transpile.ir.verify import verify


def graph_of(body: str, arguments: str = "x: f32[B, L, 64]", name: str = "Net") -> Graph:
    """A verified graph from the lines of its body."""
    lines = "\n".join("    " + line for line in body.strip("\n").splitlines())
    graph = parse_graph(f"@graph({name!r})\ndef forward({arguments}):\n{lines}\n")
    verify(graph)
    return graph


def emitted(body: str, arguments: str = "x: f32[B, L, 64]") -> Emitted:
    return emit(Program({"forward": graph_of(body, arguments)}), "Net")


def linear(path: str, x: str, out: str, rows: int = 64, columns: int = 64) -> str:
    """A linear layer at a path, as lines of text."""
    weight = f"param('{path}.weight', f32[{rows}, {columns}])"
    return (
        f"with module('{path}', 'Linear'):\n"
        f"    {out}: f32[B, L, {rows}] = linear({x}, {weight}, None)\n"
    )


def indent(text: str, depth: int = 1) -> str:
    return "".join("    " * depth + line + "\n" for line in text.splitlines())


def block(path: str, x: str, out: str, rows: int = 96, op: str = "silu") -> str:
    """A residual block: down(op(up(x))) + x."""
    inside = (
        linear(f"{path}.up", x, f"{out}_u", rows, 64)
        + f"{out}_a: f32[B, L, {rows}] = {op}({out}_u)\n"
        + linear(f"{path}.down", f"{out}_a", f"{out}_d", 64, rows)
        + f"{out}: f32[B, L, 64] = add({x}, {out}_d)\n"
    )
    return f"with module('{path}', 'Block'):\n" + indent(inside)


def stack(count: int, **options) -> str:
    """A list of blocks that chain."""
    text = ""
    for i in range(count):
        text += block(f"layers.{i}", "x" if i == 0 else f"h{i - 1}", f"h{i}", **options)
    return text + f"return h{count - 1}"
