"""Linear models, scalers and trees of `ai.onnx.ml`, beside onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper  # noqa: E402

from mlx_transpile.errors import TranspileError  # noqa: E402
from mlx_transpile.frontend.onnx import capture_model  # noqa: E402
from mlx_transpile.ir.graph import leaves  # noqa: E402
from mlx_transpile.ir.interpret import interpret  # noqa: E402

rng = np.random.default_rng(0)


def W(*shape: int) -> list[float]:
    return rng.standard_normal(shape).astype(np.float32).reshape(-1).tolist()


# Two trees: one of depth 2, one of a single branch with a leaf of the other kind of child first.
ROWS = [
    (0, 0, 0, 0.1, "BRANCH_LEQ", 1, 4), (0, 1, 1, -0.2, "BRANCH_LEQ", 2, 3),
    (0, 2, 0, 0.0, "LEAF", 0, 0), (0, 3, 0, 0.0, "LEAF", 0, 0), (0, 4, 0, 0.0, "LEAF", 0, 0),
    (1, 0, 2, 0.3, "BRANCH_LEQ", 2, 1), (1, 1, 0, 0.0, "LEAF", 0, 0), (1, 2, 0, 0.0, "LEAF", 0, 0),
]  # fmt: skip
FIELDS = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
TREES = {f"nodes_{f}": list(column) for f, column in zip(FIELDS, zip(*ROWS))}
LEAVES = [r[:2] for r in ROWS if r[4] == "LEAF"]


def weights(of: str, ids: list[int], positive: bool = False) -> dict[str, Any]:
    """Weights of every leaf for every one of the targets or classes."""
    pairs = [(leaf, i) for leaf in LEAVES for i in ids]
    values = W(len(pairs))
    return {
        f"{of}_treeids": [leaf[0] for leaf, _ in pairs],
        f"{of}_nodeids": [leaf[1] for leaf, _ in pairs],
        f"{of}_ids": [i for _, i in pairs],
        f"{of}_weights": [abs(v) for v in values] if positive else values,
    }


def model(op: str, outputs: int, attributes: dict[str, Any], columns: int) -> Any:
    names = ["label", "scores"][-outputs:]
    types = {"label": TensorProto.INT64, "scores": TensorProto.FLOAT}
    node = helper.make_node(
        op, ["x"], ["label", "scores"][-outputs:], domain="ai.onnx.ml", **attributes
    )
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", columns])],
        [helper.make_tensor_value_info(n, types[n], None) for n in names],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


CASES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "scaler": ("Scaler", 1, {"offset": W(3), "scale": W(3)}),
    "scaler-one": ("Scaler", 1, {"offset": [0.5], "scale": [2.0]}),
    "imputer": ("Imputer", 1, {"imputed_value_floats": W(3), "replaced_value_float": 1.0}),
    "imputer-nan": ("Imputer", 1, {"imputed_value_floats": [7.0], "replaced_value_float": float("nan")}),
    **{f"norm-{n}": ("Normalizer", 1, {"norm": n}) for n in ("L1", "L2", "MAX")},
    "regressor": ("LinearRegressor", 1, {"coefficients": W(6), "intercepts": W(2), "targets": 2}),
    **{
        f"classifier-{t}": (
            "LinearClassifier", 2,
            {"coefficients": W(9), "intercepts": W(3), "classlabels_ints": [3, 1, 7], "post_transform": t},
        )
        for t in ("NONE", "SOFTMAX", "LOGISTIC")
    },
    "trees": ("TreeEnsembleRegressor", 1, {**TREES, **weights("target", [0, 1]), "n_targets": 2, "base_values": [0.5, -1.0]}),
    "trees-mean": ("TreeEnsembleRegressor", 1, {**TREES, **weights("target", [0]), "n_targets": 1, "aggregate_function": "AVERAGE"}),
    "trees-classes": ("TreeEnsembleClassifier", 2, {**TREES, **weights("class", [0, 1, 2], True), "classlabels_int64s": [0, 1, 2], "post_transform": "SOFTMAX"}),
    "trees-one-score": ("TreeEnsembleClassifier", 2, {**TREES, **weights("class", [0]), "classlabels_int64s": [0, 1], "post_transform": "LOGISTIC"}),
    "trees-one-share": ("TreeEnsembleClassifier", 2, {**TREES, **weights("class", [0], True), "classlabels_int64s": [5, 2]}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_equals_onnxruntime(name: str) -> None:
    op, outputs, attributes = CASES[name]
    found = capture_model(model(op, outputs, attributes, 3))
    x = rng.standard_normal((40, 3)).astype(np.float32)
    x[0] = 1.0
    if name == "imputer-nan":
        x[1, 2] = np.nan
    want = found.run([x])
    want = want if isinstance(want, tuple) else (want,)
    got = list(leaves(interpret(found.program.forward, [x], found.tensors)))
    assert len(got) == len(want)
    for ours, theirs in zip(got, want):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_string_labels_are_refused_and_their_scores_are_not() -> None:
    attributes = {"coefficients": W(6), "intercepts": W(2), "classlabels_strings": ["cat", "dog"]}
    both = model("LinearClassifier", 2, attributes, 3)
    with pytest.raises(TranspileError, match="labels that are strings"):
        capture_model(both)
    del both.graph.output[0]
    assert capture_model(both).program.forward.outputs[0].tensor.shape[1] == 2


def test_missing_values_that_take_a_branch_are_refused() -> None:
    attributes = {
        **TREES,
        **weights("target", [0]),
        "nodes_missing_value_tracks_true": [1] * len(ROWS),
    }
    with pytest.raises(TranspileError, match="missing values"):
        capture_model(model("TreeEnsembleRegressor", 1, attributes, 3))
