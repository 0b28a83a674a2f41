"""Random programs of nested ifs and loops, emitted and run beside onnxruntime.

What variables hold across blocks and turns is easy to get wrong and hard to see in small models.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper  # noqa: E402
from onnx_suite.suite import Suite, compiled, to_mlx  # noqa: E402

from mlx_transpile.ir.graph import leaves  # noqa: E402

CONSTANTS = [
    helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
    helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
    helper.make_tensor("five", TensorProto.INT64, [], [5]),
    helper.make_tensor("two", TensorProto.INT64, [], [2]),
    helper.make_tensor("front", TensorProto.INT64, [1], [0]),
]
LIMITS = {"data": "n", "condition": "five", "both": "n", "known": "two"}


def typed(name: str, kind: int = TensorProto.FLOAT, shape: Any = ("B", 3)) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


class Program:
    """Writes nodes over values of one shape; every value stays within -1 and 1."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def op(self, nodes: list[Any], kind: str, *inputs: str, **attributes: Any) -> str:
        out = self.name()
        nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    def value(self, nodes: list[Any], known: list[str]) -> str:
        kind = self.random.choice(["Add", "Sub", "Mul", "Max"])
        pair = [self.random.choice(known) for _ in range(2)]
        return self.op(nodes, "Tanh", self.op(nodes, kind, *pair))

    def condition(self, nodes: list[Any], known: list[str]) -> str:
        total = self.op(nodes, "ReduceSum", self.random.choice(known), keepdims=0)
        return self.op(nodes, "Greater", total, "zero")

    def block(self, known: list[str], depth: int, size: int) -> tuple[list[Any], list[str]]:
        nodes: list[Any] = []
        known = list(known)
        for _ in range(size):
            kind = self.random.random() if depth else 1
            if kind < 0.25:
                known += self.branch(nodes, known, depth)
            elif kind < 0.55:
                known += self.loop(nodes, known, depth)
            else:
                known.append(self.value(nodes, known))
        return nodes, known

    def some(self, known: list[str], count: int) -> list[str]:
        return [self.random.choice(known) for _ in range(count)]

    def graph(self, nodes: list[Any], inputs: list[Any], outputs: list[Any]) -> Any:
        """Outputs are (name, type arguments); each gets a name of its own."""
        named = [
            typed(self.op(nodes, "Identity", name), *arguments) for name, *arguments in outputs
        ]
        return helper.make_graph(nodes, self.name(), inputs, named)

    def branch(self, nodes: list[Any], known: list[str], depth: int) -> list[str]:
        condition, count, sides = self.condition(nodes, known), self.random.randint(1, 3), []
        for _ in range(2):
            inner, all_known = self.block(known, depth - 1, self.random.randint(0, 3))
            given = self.some(all_known[-4:], count)
            sides.append(self.graph(inner, [], [(name,) for name in given]))
        out = [self.name() for _ in range(count)]
        nodes.append(
            helper.make_node("If", [condition], out, then_branch=sides[0], else_branch=sides[1])
        )
        return out

    def loop(self, nodes: list[Any], known: list[str], depth: int) -> list[str]:
        kind, count = self.random.choice(list(LIMITS)), self.random.randint(1, 3)
        rows = 0 if kind == "both" else self.random.randint(0, 1)  # sizes of no row differ
        carried, turn, running = [self.name() for _ in range(count)], self.name(), self.name()
        inner, all_known = self.block([*known, *carried], depth - 1, self.random.randint(1, 4))
        number = self.op(inner, "Cast", turn, to=TensorProto.FLOAT)
        all_known.append(
            self.op(inner, "Tanh", self.op(inner, "Add", self.random.choice(all_known), number))
        )
        going = running if kind in ("data", "known") else self.condition(inner, all_known)
        given = self.some([*all_known[-5:], *carried], count) + self.some(all_known[-4:], rows)
        inputs = [typed(turn, TensorProto.INT64, ()), typed(running, TensorProto.BOOL, ())]
        outputs = [(going, TensorProto.BOOL, ()), *((name,) for name in given)]
        body = self.graph(inner, [*inputs, *map(typed, carried)], outputs)
        enter = self.condition(nodes, known) if kind == "both" else "yes"
        out = [self.name() for _ in range(count + rows)]
        start = self.some(known, count)
        nodes.append(helper.make_node("Loop", [LIMITS[kind], enter, *start], out, body=body))
        totals = [self.op(nodes, "ReduceSum", row, "front", keepdims=0) for row in out[count:]]
        return [*out[:count], *(self.op(nodes, "Tanh", total) for total in totals)]

    def model(self) -> Any:
        nodes, known = self.block(["x", "y"], 2, self.random.randint(3, 6))
        results = [self.op(nodes, "Identity", name) for name in dict.fromkeys(known[-4:])]
        inputs = [typed("x"), typed("y"), typed("n", TensorProto.INT64, ())]
        graph = helper.make_graph(nodes, "program", inputs, list(map(typed, results)), CONSTANTS)
        opsets = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.mark.parametrize("seed", range(16))
def test_random_program(seed: int) -> None:
    model = Program(seed).model()
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    emitted, _ = compiled(Suite("program", model, [], 0.0, 0.0))
    for size, turns in ((2, 2), (1, 1), (4, 3)):
        noise = np.random.default_rng(size)
        arrays = {name: noise.standard_normal((size, 3)).astype(np.float32) for name in ("x", "y")}
        arrays["n"] = np.asarray(turns, np.int64)
        wanted = session.run(None, arrays)
        for got, want in zip(leaves(emitted(*map(to_mlx, arrays.values()))), wanted, strict=True):
            assert tuple(got.shape) == want.shape
            np.testing.assert_allclose(np.array(got), want, 2e-4, 2e-4)
