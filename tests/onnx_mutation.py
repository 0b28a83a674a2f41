"""Damaged copies of an ONNX file, each the same on every run: for tests that nothing breaks."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
KINDS = ("bits", "bytes", "cut", "gap", "swapped", "field")


def small_model() -> Any:
    """A convolution, shape arithmetic, a branch on a constant, a loop, attention in small."""
    rng = np.random.default_rng(0)
    weights = {
        "conv.weight": rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "proj.weight": rng.standard_normal((4, 6)).astype(np.float32),
        "norm.weight": np.ones(6, np.float32),
        "zero": np.array([0]),
        "rest": np.array([4, -1]),
        "yes": np.array(True),
        "trips": np.array(2),
    }
    out = helper.make_tensor_value_info
    then = helper.make_graph(
        [helper.make_node("Relu", ["t"], ["a"])], "then", [], [out("a", FLOAT, None)]
    )
    other = helper.make_graph(
        [helper.make_node("Neg", ["t"], ["b"])], "else", [], [out("b", FLOAT, None)]
    )
    body = helper.make_graph(
        [
            helper.make_node("Add", ["carried", "carried"], ["twice"]),
            helper.make_node("Identity", ["go"], ["goes"]),
        ],
        "body",
        [
            out("i", TensorProto.INT64, []),
            out("go", TensorProto.BOOL, []),
            out("carried", FLOAT, None),
        ],
        [out("goes", TensorProto.BOOL, []), out("twice", FLOAT, None)],
    )
    make = helper.make_node
    nodes = [
        make("Conv", ["x", "conv.weight"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], name="/conv/Conv"),
        make("Shape", ["x"], ["s"]),
        make("Gather", ["s", "zero"], ["n"]),
        make("Concat", ["n", "rest"], ["target"], axis=0),
        make("Reshape", ["c", "target"], ["flat"]),
        make("Transpose", ["flat"], ["t"], perm=[0, 2, 1]),
        make("If", ["yes"], ["chosen"], then_branch=then, else_branch=other),
        make("Loop", ["trips", "", "chosen"], ["looped"], body=body),
        make("MatMul", ["looped", "proj.weight"], ["p"], name="/proj/MatMul"),
        make("LayerNormalization", ["p", "norm.weight"], ["l"], axis=-1, name="/norm/LN"),
        make("Softmax", ["l"], ["y"], axis=-1),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "Small",
        [out("x", FLOAT, ["batch", 3, "height", 8])],
        [out("y", FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def mutated(data: bytes, number: int) -> bytes:
    """The copy of that number; the kinds take turns."""
    rng = random.Random(number)
    return _KINDS[KINDS[number % len(KINDS)]](data, rng)


def _bits(data: bytes, rng: random.Random) -> bytes:
    """A few bits turned."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def _bytes(data: bytes, rng: random.Random) -> bytes:
    """A run of bytes replaced by others."""
    at, size = rng.randrange(len(data)), rng.choice((1, 2, 4, 16))
    return data[:at] + rng.randbytes(size) + data[at + size :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _gap(data: bytes, rng: random.Random) -> bytes:
    """A few bytes gone, or there twice."""
    at, size = rng.randrange(len(data)), rng.randrange(1, 9)
    return data[:at] + data[at + size :] if rng.random() < 0.5 else data[: at + size] + data[at:]


def _swapped(data: bytes, rng: random.Random) -> bytes:
    """Two parts of the file in each other's place."""
    size = rng.randrange(1, 33)
    a, b = sorted(rng.sample(range(len(data) - size), 2))
    b = max(b, a + size)
    return (
        data[:a] + data[b : b + size] + data[a + size : b] + data[a : a + size] + data[b + size :]
    )


def _field(data: bytes, rng: random.Random) -> bytes:
    """A well-formed file in which a field holds something else."""
    model = ModelProto.FromString(data)
    rng.choice(_FIELDS)(model.graph, rng)
    return model.SerializeToString()


def _names(graph: Any) -> list[str]:
    return [name for node in graph.node for name in (*node.input, *node.output) if name]


def _other_input(graph: Any, rng: random.Random) -> None:
    node = rng.choice(graph.node)
    node.input[rng.randrange(len(node.input))] = rng.choice(_names(graph))


def _other_output(graph: Any, rng: random.Random) -> None:
    rng.choice(graph.node).output[0] = rng.choice(_names(graph))


def _other_operator(graph: Any, rng: random.Random) -> None:
    a, b = rng.sample(list(graph.node), 2)
    a.op_type, b.op_type = b.op_type, a.op_type


def _other_attribute(graph: Any, rng: random.Random) -> None:
    attributes = [a for node in graph.node for a in node.attribute]
    attribute = rng.choice(attributes)
    number = rng.choice((0, -1, 7, 2**31, 2**62, -(2**63)))
    if attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = number
    else:
        attribute.i = number


def _other_dims(graph: Any, rng: random.Random) -> None:
    rng.choice(graph.initializer).dims[:] = [rng.choice((0, -1, 3, 2**31, 2**62)) for _ in range(3)]


def _other_type(graph: Any, rng: random.Random) -> None:
    rng.choice(graph.initializer).data_type = rng.randrange(30)


def _other_values(graph: Any, rng: random.Random) -> None:
    """Sizes and counts beyond all measure."""
    name = rng.choice(("rest", "trips", "zero"))
    tensor = next(t for t in graph.initializer if t.name == name)
    value = rng.choice((-5, 10**5, 2**31, 2**62))
    array = np.full_like(numpy_helper.to_array(tensor), value)
    tensor.CopyFrom(numpy_helper.from_array(array, name))


def _no_name(graph: Any, rng: random.Random) -> None:
    rng.choice(graph.initializer).name = rng.choice(("", "x", "y", "c"))


def _other_input_type(graph: Any, rng: random.Random) -> None:
    tensor = graph.input[0].type.tensor_type
    tensor.elem_type = rng.randrange(30)
    tensor.shape.dim[rng.randrange(4)].dim_value = rng.choice((0, -3, 1, 2**40, 2**62))


_FIELDS: tuple[Callable[[Any, random.Random], None], ...] = (
    _other_input, _other_output, _other_operator, _other_attribute, _other_dims, _other_type,
    _other_values, _no_name, _other_input_type,
)  # fmt: skip
_KINDS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bits": _bits, "bytes": _bytes, "cut": _cut, "gap": _gap, "swapped": _swapped, "field": _field,
}  # fmt: skip
