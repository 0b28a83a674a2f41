"""Time to transpile large ONNX graphs, by stage.

    python benchmarks/onnx_large.py [--nodes 2500 5000 10000 20000] [--graphs blocks nameless flat]

`blocks` is a stack of equal blocks (two linear layers, a norm, a residual) whose nodes have paths
as names; `nameless` is the same without any names; `flat` has operators in random order and short
skips between them, so that nothing repeats. Prints processor seconds by stage, the microseconds a
node that they come to, and how those grow from the smallest graph to the largest: 1 is linear.
"""

import argparse
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

import mlx_transpile

WIDTH = 8
_PER_BLOCK = 7


class Build:
    """A graph in the making: x [batch, 8] to y [batch, 8]."""

    def __init__(self, named: bool):
        self.named, self.nodes, self.weights = named, [], []
        self.rng = np.random.default_rng(0)

    def weight(self, name: str, *shape: int) -> str:
        name = name if self.named else f"c{len(self.weights)}"
        array = (self.rng.standard_normal(shape) * 0.3).astype(np.float32)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op: str, *inputs: str, path: str = "", **attributes: Any) -> str:
        out = f"v{len(self.nodes)}"
        name = f"/{path}/{op}" if self.named else ""
        self.nodes.append(helper.make_node(op, list(inputs), [out], name=name, **attributes))
        return out

    def model(self, result: str) -> ModelProto:
        self.nodes.append(helper.make_node("Identity", [result], ["y"]))
        graph = helper.make_graph(
            self.nodes,
            "Large",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def blocks(nodes: int, named: bool = True) -> ModelProto:
    b, x = Build(named), "x"
    for i in range(nodes // _PER_BLOCK):
        at = f"layers.{i}"
        gain, shift = b.weight(f"{at}.norm.weight", WIDTH), b.weight(f"{at}.norm.bias", WIDTH)
        h = b.node("LayerNormalization", x, gain, shift, path=f"{at}/norm", axis=-1)
        for layer, (width, to) in {"fc1": (WIDTH, 16), "fc2": (16, WIDTH)}.items():
            path = f"{at}/{layer}"
            h = b.node("MatMul", h, b.weight(f"{at}.{layer}.kernel", width, to), path=path)
            h = b.node("Add", h, b.weight(f"{at}.{layer}.bias", to), path=path)
            h = b.node("Relu", h, path=f"{at}/act") if layer == "fc1" else h
        x = b.node("Add", x, h, path=at)
    return b.model(x)


def flat(nodes: int) -> ModelProto:
    b, values = Build(False), ["x"]
    for _ in range(nodes):
        kind = b.rng.integers(0, 8)
        x, other = values[-1], values[max(0, len(values) - 1 - int(b.rng.integers(0, 9)))]
        if kind < 3:
            values.append(b.node(("Add", "Mul", "Max")[kind], x, other))
        elif kind < 6:
            values.append(b.node(("Sigmoid", "Tanh", "Softplus")[kind - 3], x))
        elif kind == 6:
            values.append(b.node("MatMul", x, b.weight("", WIDTH, WIDTH)))
        else:
            values.append(b.node("Add", x, b.weight("", WIDTH)))
    return b.model(values[-1])


GRAPHS = {"blocks": blocks, "nameless": lambda n: blocks(n, named=False), "flat": flat}


def stages(path: Path, out: Path) -> dict[str, float]:
    """Processor seconds by stage, in their order."""
    found: dict[str, float] = {}
    current, since = "start", time.process_time()

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal current, since
        now = time.process_time()
        found[current] = found.get(current, 0) + now - since
        current, since = stage, now

    mlx_transpile.transpile(path, out, progress=progress)
    found.pop("start")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[2500, 5000, 10000, 20000])
    parser.add_argument("--graphs", nargs="+", choices=list(GRAPHS), default=list(GRAPHS))
    options = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}; processor seconds\n")
    for name in options.graphs:
        with tempfile.TemporaryDirectory() as folder:
            table = {}
            for nodes in [100, *options.nodes]:  # the first imports what all need
                path = Path(folder) / f"{nodes}.onnx"
                path.write_bytes(GRAPHS[name](nodes).SerializeToString())
                table[nodes] = stages(path, Path(folder) / f"out{nodes}")
                print(".", end="", file=sys.stderr, flush=True)
        print(f"\n{show(name, {n: table[n] for n in options.nodes})}", flush=True)


def show(name: str, table: dict[int, dict[str, float]]) -> str:
    """A table: a row for each stage, a column for each size."""
    sizes = list(table)
    rows = [[name, *(f"{n:,}" for n in sizes), "growth"], ["---"] * (len(sizes) + 2)]
    totals = {n: sum(table[n].values()) for n in sizes}
    for stage in [*table[sizes[-1]], "all"]:
        times = [totals[n] if stage == "all" else table[n].get(stage, 0.0) for n in sizes]
        small, large = times[0] / sizes[0], times[-1] / sizes[-1]
        rows.append([stage, *(f"{t:.2f}" for t in times), f"{large / small:.1f}" if small else ""])
    each = [f"{1e6 * totals[n] / n:.0f}" for n in sizes]
    rows.append(["microseconds a node", *each, ""])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
