"""Random numbers in ONNX models: what the main graph draws is read from the source's runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx_ir")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper  # noqa: E402

from mlx_transpile import transpile  # noqa: E402
from mlx_transpile.frontend.onnx import capture_file, capture_model  # noqa: E402
from mlx_transpile.validate import UNSEEN  # noqa: E402

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def model_of(nodes: list[Any], results: dict[str, Any], **options: Any) -> Any:
    x = helper.make_tensor_value_info("x", FLOAT, ["B", 4])
    outputs = [helper.make_tensor_value_info(n, *kind) for n, kind in results.items()]
    graph = helper.make_graph(nodes, "noise", [x], outputs, **options)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


node = helper.make_node
ROWS = ("B", 4)
DRAWS = [
    node("RandomUniform", [], ["dead"], shape=[3]),
    node("RandomNormal", [], ["a"], shape=[4], mean=1.0, scale=2.0, seed=3.0),
    node("RandomNormalLike", ["x"], ["b"]),
    node("RandomUniformLike", ["x"], ["c"], low=-1.0, high=1.0),
    node("Sigmoid", ["x"], ["p"]),
    node("Bernoulli", ["p"], ["d"]),
    node("Multinomial", ["x"], ["chosen"], sample_size=3, dtype=INT64),
    node("Add", ["x", "a"], ["x1"]),
    node("Mul", ["b", "c"], ["x2"]),
    node("Add", ["x1", "x2"], ["x3"]),
    node("Add", ["x3", "d"], ["y"]),
]
RESULTS = {"y": (FLOAT, ROWS), "chosen": (INT64, ("B", 3)), "b": (FLOAT, ROWS)}


def test_every_operator(tmp_path: Path) -> None:
    done = transpile(model_of(DRAWS, RESULTS), tmp_path / "out", validate=True, verify_each=True)
    assert done.report is not None and done.report.ok
    assert done.report.ran("B") == [1, 2, 3, 17]
    assert all(d.note != UNSEEN for c in done.report.cases for _, d in c.outputs)
    found = json.loads((tmp_path / "out" / "manifest.json").read_text())["random"]
    ops = [row["op"].removeprefix("random_") for row in found["draws"]]
    assert ops == ["normal", "normal", "uniform", "bernoulli", "categorical"]
    assert "RandomNormal: the file's seed 3 fixes nothing, MLX draws others" in found["notes"]


def test_draws_of_a_run_are_those_of_its_result() -> None:
    captured = capture_model(model_of(DRAWS, RESULTS))
    x = np.ones((2, 4), np.float32)
    assert captured.run_drawing is not None and captured.drawn == 6
    (y, chosen, b), drawn = captured.run_drawing([x])
    dead, a, own_b, c, d, own = drawn
    np.testing.assert_allclose(y, x + a + b * c + d, rtol=1e-6)
    assert np.array_equal(b, own_b) and np.array_equal(chosen, own) and dead.shape == (3,)


def test_tensors_in_another_file(tmp_path: Path) -> None:
    """The session that tells what it draws finds them, too."""
    weight = helper.make_tensor("w", FLOAT, [4, 300], np.ones(1200, np.float32).tobytes(), raw=True)
    nodes = [
        node("RandomNormalLike", ["x"], ["n"]),
        node("Add", ["x", "n"], ["s"]),
        node("MatMul", ["s", "w"], ["y"]),
    ]
    model = model_of(nodes, {"y": (FLOAT, ("B", 300))}, initializer=[weight])
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    captured = capture_file(path)
    assert captured.run_drawing is not None
    x = np.ones((2, 4), np.float32)
    y, (drawn,) = captured.run_drawing([x])
    np.testing.assert_allclose(y, (x + drawn).sum(1, keepdims=True).repeat(300, 1), rtol=1e-5)


@pytest.mark.parametrize("trips", [3, None])
def test_draws_of_a_loop_are_not_seen(trips: int | None, tmp_path: Path) -> None:
    """Unrolled or not: what depends on them is compared by shape alone, and that is told."""
    body = helper.make_graph(
        [
            node("RandomNormalLike", ["s"], ["n"]),
            node("Add", ["s", "n"], ["after"]),
            node("Identity", ["go"], ["on"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("go", BOOL, []),
            helper.make_tensor_value_info("s", FLOAT, ROWS),
        ],
        [
            helper.make_tensor_value_info("on", BOOL, []),
            helper.make_tensor_value_info("after", FLOAT, ROWS),
        ],
    )
    nodes = [node("Loop", ["count", "", "x"], ["y"], body=body), node("Neg", ["x"], ["z"])]
    results = {"y": (FLOAT, ROWS), "z": (FLOAT, ROWS)}
    if trips is None:
        read = [node("ReduceSum", ["x"], ["t"], keepdims=0), node("Abs", ["t"], ["u"])]
        nodes = [*read, node("Cast", ["u"], ["count"], to=INT64), *nodes]
        model = model_of(nodes, results)
    else:
        count = helper.make_tensor("count", INT64, [], [trips])
        model = model_of(nodes, results, initializer=[count])
    done = transpile(model, tmp_path / "out", validate=True, verify_each=True)
    assert done.report is not None and done.report.ok
    for case in done.report.cases:
        assert [d.note for _, d in case.outputs] == [UNSEEN, ""]
    text = (tmp_path / "out" / "report.md").read_text()
    assert "agrees with its source as far as the two can be compared" in text


def test_unseen_outputs_must_have_their_shapes(tmp_path: Path) -> None:
    from mlx_transpile.compare import Tolerance
    from mlx_transpile.validate import _compare_drawn

    captured = capture_model(model_of(DRAWS, RESULTS))
    graph = captured.program.forward
    want = (np.ones((2, 4), np.float32), np.ones((2, 3), np.int64), np.ones((2, 4), np.float32))
    got = (want[0] + 1, want[1][:, :2], want[2].astype(np.int64))
    found = dict(_compare_drawn(graph, got, want, Tolerance(0, 0)))
    assert [d.ok for d in found.values()] == [True, False, False]
