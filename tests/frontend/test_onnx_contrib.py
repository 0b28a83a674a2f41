"""Operators of com.microsoft: each as a model of one node, emitted, run in MLX at two sizes, and
compared with onnxruntime (or NumPy, where onnxruntime has no CPU kernel)."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
from onnx_contrib_cases import CASES, Case, X, model_of
from onnx_suite.suite import Suite, compiled, to_mlx

from mlx_transpile.frontend import onnx_contrib
from mlx_transpile.ir.graph import leaves

onnxruntime = pytest.importorskip("onnxruntime")
SIZES = ({"B": 2, "L": 5, "P": 3}, {"B": 3, "L": 7, "P": 2})


def _expected(case: Case, model: Any, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    if case.reference is not None:
        weights = [onnx.numpy_helper.to_array(t) for t in model.graph.initializer]
        stored = dict(zip((t.name for t in model.graph.initializer), weights, strict=True))
        inputs = [{**feeds, **stored}[f"x{i}"] for i, x in enumerate(case.inputs) if x is not None]
        out = case.reference(*inputs)
        return list(out) if isinstance(out, tuple) else [np.asarray(out)]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [np.asarray(o) for o in session.run(None, feeds)]


def _with_total(model: Any, length: int) -> Any:
    """The total length of a prompt is a number in the model: it follows the size of the run."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    for tensor in out.graph.initializer:
        scalar = tensor.data_type == onnx.TensorProto.INT32 and not tensor.dims
        if scalar and onnx.numpy_helper.to_array(tensor) == -1:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.int32(length), tensor.name))
    return out


@pytest.mark.parametrize("case", CASES, ids=str)
def test_contrib(case: Case) -> None:
    model = model_of(case)
    emitted, fixed = compiled(Suite(str(case), model, [], 0.0, 0.0))
    assert not fixed
    for seed, sizes in enumerate(SIZES):
        rng = np.random.default_rng(seed)
        feeds = {
            f"x{i}": x.array(sizes, rng) for i, x in enumerate(case.inputs) if isinstance(x, X)
        }
        wanted = _expected(case, _with_total(model, sizes["L"]), feeds)
        found = [np.array(v) for v in leaves(emitted(*(to_mlx(a) for a in feeds.values())))]
        for got, want in zip(found, wanted, strict=True):
            assert got.shape == want.shape
            assert got.dtype == want.dtype or case.reference is not None
            difference = np.abs(got.astype(np.float64) - want).max()
            scale = 1.0 if want.dtype.kind in "iub" else max(1.0, float(np.abs(want).max()))
            assert difference <= case.tolerance * scale, difference


def test_every_row_has_a_case() -> None:
    rows = {name.removeprefix("com.microsoft.") for name in onnx_contrib.ROWS}
    assert rows - {case.op for case in CASES} == NO_CASE


# Rows of the standard under another domain, and variants of a row with a case.
NO_CASE = {
    "FusedMatMulActivation", "GemmaRotaryEmbedding", "LayerNormalization", "NhwcConv",
    "NhwcFusedConv", "Pad", "Range",
}  # fmt: skip
