"""Random graphs compute the same numbers after the pipeline, at two sizes."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pass_tools import check

from mlx_transpile.ir import Builder, DType, Graph, InferError, Scope, Tensor
from mlx_transpile.ir.dims import symbol
from mlx_transpile.ir.graph import Value
from mlx_transpile.ir.recipe import Read

B, L = symbol("B"), symbol("L")
UNARY = ("exp", "relu", "sigmoid", "negative", "tanh", "abs")
BINARY = ("add", "multiply", "subtract", "maximum", "minimum")


class Maker:
    """Draws a graph node by node; what does not fit is left out."""

    def __init__(self, draw):
        self.draw = draw
        self.graph = Graph("Random")
        self.b = Builder(self.graph)
        x = Value(Tensor(DType.f32, (B, 2, L, 6)), "x")
        y = Value(Tensor(DType.f32, (B, 6, 4)), "y")
        self.graph.arguments = [("x", x), ("y", y)]
        self.values = [x, y]

    def pick(self, options):
        return self.draw(st.sampled_from(list(options)))

    def scope(self, index: int) -> None:
        path = self.pick(["", "a", "b", "a.c"])
        self.b.scope = self.graph.root
        prefix = ""
        for part in path.split(".") if path else []:
            prefix = f"{prefix}.{part}" if prefix else part
            self.b.scope = self.known.setdefault(prefix, Scope(prefix, "Block", self.b.scope))

    def make(self, count: int) -> Graph:
        self.known = {}
        for index in range(count):
            self.scope(index)
            try:
                made = getattr(self, self.pick(STEPS))(self.pick(self.values))
            except (InferError, IndexError):
                continue
            self.values += made if isinstance(made, tuple) else [made]
        self.graph.result = tuple(self.values[-self.draw(st.integers(1, 3)) :])
        return self.graph

    def axis(self, x):
        return self.draw(st.integers(0, x.tensor.rank - 1)) if x.tensor.rank else self.fail()

    def fail(self):
        raise IndexError

    def unary(self, x):
        return self.b.op(self.pick(UNARY), x)

    def binary(self, x):
        other = self.pick([*self.values, 0, 1, 0.5, 2])
        return self.b.op(self.pick(BINARY), *self.pick([(x, other), (other, x)]))

    def scaled(self, x):
        axis = self.axis(x)
        size = x.tensor.shape[axis]
        shape = (size, *[1] * (x.tensor.rank - axis - 1)) if isinstance(size, int) else (1,)
        name = f"w{len(self.graph.params)}"
        return self.b.op(
            "multiply", x, self.graph.param(name, Tensor(DType.f32, shape), Read(name))
        )

    def transpose(self, x):
        return self.b.op(
            "transpose", x, axes=tuple(self.draw(st.permutations(range(x.tensor.rank))))
        )

    def swap(self, x):
        axes = list(range(x.tensor.rank))
        i, j = self.axis(x), self.axis(x)
        axes[i], axes[j] = axes[j], axes[i]
        return self.b.op("transpose", x, axes=tuple(axes))

    def expand_dims(self, x):
        return self.b.op("expand_dims", x, axes=(self.draw(st.integers(0, x.tensor.rank)),))

    def squeeze(self, x):
        return self.b.op(
            "squeeze",
            x,
            axes=tuple(i for i, d in enumerate(x.tensor.shape) if d == 1)[:2] or self.fail(),
        )

    def merge(self, x):
        axis, shape = self.axis(x), x.tensor.shape
        return self.b.op(
            "reshape", x, shape=(*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :])
        )

    def part(self, x):
        axis, shape = self.axis(x), x.tensor.shape
        size = shape[axis] if shape[axis] in (4, 6) else self.fail()
        return self.b.op("reshape", x, shape=(*shape[:axis], 2, size // 2, *shape[axis + 1 :]))

    def slice(self, x):
        start, stop = self.pick([(0, 1), (1, None), (0, -1), (1, 2), (-1, None), (0, L), (0, 9)])
        return self.b.op("slice", x, axis=self.axis(x), start=start, stop=stop)

    def select(self, x):
        return self.b.op("select", x, axis=self.axis(x), index=self.pick([0, -1]))

    def split(self, x):
        axis = self.axis(x)
        size = x.tensor.shape[axis]
        sizes = (1, size - 1) if isinstance(size, int) and size > 1 else (size,)
        return self.b.op("split", x, sizes=sizes, axis=axis)

    def concatenate(self, x):
        return self.b.op(
            "concatenate", x, self.pick([x, self.pick(self.values)]), axis=self.axis(x)
        )

    def stack(self, x):
        return self.b.op("stack", x, x, axis=self.axis(x))

    def reduce(self, x):
        axes = tuple(sorted({self.axis(x), self.axis(x)}))
        return self.b.op(
            self.pick(["mean", "sum", "max"]), x, axes=axes, keepdims=self.pick([True, False])
        )

    def softmax(self, x):
        return self.b.op("softmax", x, axis=self.axis(x))

    def pad(self, x):
        low = [0] * x.tensor.rank
        low[self.axis(x)] = self.pick([0, 1])
        return self.b.op("pad", x, low=tuple(low), high=tuple(low))

    def broadcast(self, x):
        shape = tuple(3 if d == 1 else d for d in x.tensor.shape)
        return self.b.op("broadcast_to", x, shape=shape)

    def uniform(self, x):
        full = self.b.op(
            "full",
            shape=self.pick([(), x.tensor.shape]),
            value=self.pick([0.0, 1.0, 2.0]),
            dtype=DType.f32,
        )
        return self.b.op(self.pick(BINARY), x, full)

    def where(self, x):
        return self.b.op("where", self.b.op("greater", x, 0), x, self.pick([0.0, x]))

    def cast(self, x):
        return self.b.op(
            "cast", self.b.op("cast", x, dtype=self.pick([DType.f64, DType.f32])), dtype=DType.f32
        )

    def matmul(self, x):
        axes = (*range(x.tensor.rank - 2), x.tensor.rank - 1, x.tensor.rank - 2)
        return (
            self.b.op("matmul", x, self.b.op("transpose", x, axes=axes))
            if x.tensor.rank > 1
            else self.fail()
        )

    def linear(self, x):
        size = x.tensor.shape[-1]
        name = f"w{len(self.graph.params)}"
        kind = Tensor(DType.f32, (4, size)) if isinstance(size, int) else self.fail()
        return self.b.op("linear", x, self.graph.param(name, kind, Read(name)), None)


STEPS = [
    "unary", "binary", "binary", "scaled", "transpose", "transpose", "swap", "swap", "expand_dims", "squeeze", "merge",
    "part", "slice", "select", "split", "concatenate", "stack", "reduce", "softmax", "pad", "broadcast", "uniform",
    "where", "cast", "matmul", "linear",
]  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_pipeline_keeps_the_numbers(data):
    graph = Maker(data.draw).make(data.draw(st.integers(3, 25)))
    with np.errstate(all="ignore"):
        check(graph)
