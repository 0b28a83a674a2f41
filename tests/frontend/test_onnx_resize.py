"""Resizing of free sizes by scales that the file states."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx_ir")
pytest.importorskip("onnxruntime")

from mlx_transpile.errors import TranspileError  # noqa: E402
from mlx_transpile.frontend.onnx import capture_model  # noqa: E402
from mlx_transpile.ir.graph import leaves  # noqa: E402
from mlx_transpile.ir.interpret import interpret  # noqa: E402


def resized(scale: float):
    text = f"""<ir_version: 9, opset_import: ["" : 18]>
    g (float[B, 2, H, W] x) => (float y) {{
        s = Constant <value_floats = [1.0, 1.0, {scale}, {scale}]> ()
        y = Resize <mode = "linear", coordinate_transformation_mode = "align_corners"> (x, , s)
    }}"""
    model = onnx.parser.parse_model(text)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return capture_model(model)


def test_twice_a_free_size_to_the_corners() -> None:
    """As torch's `nn.Upsample(scale_factor=2, align_corners=True)` is exported."""
    found = resized(2.0)
    graph = found.program.forward
    assert [str(d) for d in graph.inputs[0].tensor.shape] == ["B", "2", "H", "W"]
    for sizes in ((3, 5), (8, 4)):
        x = np.random.default_rng(0).standard_normal((2, 2, *sizes)).astype(np.float32)
        (ours,) = leaves(interpret(graph, [x], found.tensors))
        (theirs,) = leaves(found.run([x]))
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_part_of_a_free_size_to_the_corners_is_refused() -> None:
    with pytest.raises(TranspileError, match="needs fixed sizes"):
        resized(0.5)
