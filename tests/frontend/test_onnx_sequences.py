"""Sequences whose parts are known, and places that bound the axes which they are read from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx_ir")
pytest.importorskip("onnxruntime")

from mlx_transpile.errors import TranspileError  # noqa: E402
from mlx_transpile.frontend.onnx import capture_model  # noqa: E402
from mlx_transpile.ir.graph import leaves  # noqa: E402
from mlx_transpile.ir.interpret import interpret  # noqa: E402


def captured(body: str, x: str = "float[B, 6]") -> Any:
    text = f"""<ir_version: 9, opset_import: ["" : 18]>
    g ({x} x) => (float y) {{ {body} }}"""
    model = onnx.parser.parse_model(text)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return capture_model(model)


TWO = "two = Constant <value_int = 2> () zero = Constant <value_int = 0> ()"
SEQUENCES = {
    "equal parts": """s = SplitToSequence <axis = 1> (x, two)
        a = SequenceAt (s, zero) b = SequenceAt (s, two) y = Sub (a, b)""",
    "parts of given sizes": """n = Constant <value_ints = [1, 5]> ()
        s = SplitToSequence <axis = -1> (x, n) a = SequenceAt (s, zero) y = Neg (a)""",
    "single places": """s = SplitToSequence <axis = 1, keepdims = 0> (x)
        a = SequenceAt (s, two) y = Neg (a)""",
    "a list that grows": """e = SequenceEmpty () s = SequenceInsert (e, x) a = Neg (x)
        t = SequenceInsert (s, a, zero) y = ConcatFromSequence <axis = 1> (t)""",
    "a list that shrinks": """a = Neg (x) s = SequenceConstruct (x, a, x) t = SequenceErase (s)
        y = ConcatFromSequence <axis = -1, new_axis = 1> (t)""",
    "its length": """s = SequenceConstruct (x, x) n = SequenceLength (s)
        f = Cast <to = 1> (n) y = Mul (x, f)""",
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences_are_resolved(name: str) -> None:
    found = captured(f"{TWO} {SEQUENCES[name]}")
    assert [str(d) for d in found.program.forward.inputs[0].tensor.shape] == ["B", "6"]
    x = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)
    (ours,) = leaves(interpret(found.program.forward, [x], found.tensors))
    (theirs,) = leaves(found.run([x]))
    np.testing.assert_allclose(ours, theirs)


def test_as_many_parts_as_a_free_size_are_refused() -> None:
    with pytest.raises(TranspileError, match="as many parts as L"):
        captured(f"{TWO} s = SplitToSequence (x) y = SequenceAt (s, two)", "float[L, 6]")


@pytest.mark.parametrize(
    ("index", "low"),
    [("value_int = 4", 5), ("value_int = -3", 3), ("value_ints = [0, 6, 2]", 7)],
)
def test_a_fixed_place_bounds_a_free_axis(index: str, low: int) -> None:
    """MLX reads past the end of an array without a word."""
    graph = captured(f"i = Constant <{index}> () y = Gather (x, i)").program.forward
    assert [(s.name, s.low) for s in graph.symbols()] == [("B", low)]


def test_positions_bound_the_length_by_the_table() -> None:
    body = """n = Shape <start = 1, end = 2> (x) m = Squeeze (n)
        zero = Constant <value_int = 0> () one = Constant <value_int = 1> ()
        p = Range (zero, m, one) k = Constant <value_ints = [16, 6]> ()
        table = RandomNormal <shape = [16, 6]> () e = Gather (table, p) y = Add (e, x)"""
    graph = captured(body, "float[B, L, 6]").program.forward
    assert [(s.name, s.high) for s in graph.symbols()] == [("B", None), ("L", 16)]


def test_a_squeeze_of_all_ones_leaves_free_axes() -> None:
    graph = captured("y = Squeeze (x)", "float[B, 1, 6]").program.forward
    assert [(s.name, s.low) for s in graph.symbols()] == [("B", 2)]
