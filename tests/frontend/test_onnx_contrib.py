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


def _block() -> Any:
    """A decoder block as onnxruntime's builders write it: paths in names, weights of four bits."""
    from onnx import helper

    rng = np.random.default_rng(0)
    store: list[Any] = []
    nodes: list[Any] = []

    def weight(name: str, *shape: int) -> str:
        array = (rng.standard_normal(shape) * 0.3).astype(np.float32)
        store.append(onnx.numpy_helper.from_array(array, name))
        return name

    def node(
        op: str, inputs: list[str], outputs: list[str], domain: str = "", **attrs: Any
    ) -> None:
        name = attrs.pop("path", outputs[0])
        nodes.append(helper.make_node(op, inputs, outputs, name, domain=domain, **attrs))

    def bits(x: str, base: str, out: str, rows: int) -> None:
        packed = rng.integers(0, 256, (rows, 2, 16)).astype(np.uint8)
        store.append(onnx.numpy_helper.from_array(packed, f"{base}.weight_Q4"))
        scales = weight(f"{base}.weight_scales", rows, 2)
        node("MatMulNBits", [x, f"{base}.weight_Q4", scales], [out], "com.microsoft", K=64, N=rows,
             bits=4, block_size=32, path=f"/{base.replace('.', '/')}/MatMul_Q4")  # fmt: skip

    for name, rows in (("q", 64), ("k", 32), ("v", 32)):
        bits("x", f"attn.{name}_proj", name, rows)
    tables = [weight("cos_cache", 32, 8), weight("sin_cache", 32, 8)]
    node("GroupQueryAttention", ["q", "k", "v", "", "", "lengths", "total", *tables], ["a"],
         "com.microsoft", num_heads=4, kv_num_heads=2, do_rotary=1,
         path="/attn/GroupQueryAttention")  # fmt: skip
    bits("a", "attn.o_proj", "o", 64)
    node("SkipSimplifiedLayerNormalization", ["x", "o", weight("norm.weight", 64)], ["n", "", "", "h"],
         "com.microsoft", epsilon=1e-5, path="/norm/SkipLayerNorm")  # fmt: skip
    bits("n", "up_proj", "u", 96)
    node("BiasGelu", ["u", weight("up_proj.bias", 96)], ["g"], "com.microsoft")
    node("MatMul", ["g", weight("down_proj.weight", 96, 64)], ["d"], path="/down_proj/MatMul")
    node("Add", ["d", "h"], ["y"])
    inputs = [
        helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["B", "L", 64]),
        helper.make_tensor_value_info("lengths", onnx.TensorProto.INT32, ["B"]),
        helper.make_tensor_value_info("total", onnx.TensorProto.INT32, []),
    ]
    graph = helper.make_graph(nodes, "block", inputs, [onnx.ValueInfoProto(name="y")], store)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def test_fused_block() -> None:
    """Norms and biases are layers again, and the numbers are onnxruntime's."""
    from mlx_transpile.codegen import emit
    from mlx_transpile.frontend.onnx import capture_model
    from mlx_transpile.passes import pipeline

    model = _block()
    captured = capture_model(model)
    pipeline.run(captured.program, 1)
    source = emit(captured.program, "Block").source
    assert "nn.RMSNorm(" in source
    assert source.count("bias=False") == 5  # all but up_proj
    run, _ = compiled(Suite("block", model, [], 0.0, 0.0))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for size in ((2, 5), (3, 9)):
        x = np.random.default_rng(1).standard_normal((*size, 64)).astype(np.float32)
        feeds = {"x": x, "lengths": np.full(size[0], size[1] - 1, np.int32),
                 "total": np.int32(size[1])}  # fmt: skip
        want = session.run(None, {k: np.asarray(v) for k, v in feeds.items()})[0]
        got = np.array(run(*(to_mlx(a) for a in feeds.values())))
        assert np.abs(got - want).max() <= 2e-5 * np.abs(want).max()


def test_a_cache_is_refused() -> None:
    from onnx_contrib_cases import GQA, _gqa, x

    from mlx_transpile.errors import TranspileError

    inputs = list(_gqa())
    inputs[3] = inputs[4] = x("B", 2, "P", 16)
    with pytest.raises(TranspileError, match="with a cache of P positions"):
        compiled(Suite("gqa", model_of(Case("GroupQueryAttention", tuple(inputs), GQA)), [], 0, 0))
