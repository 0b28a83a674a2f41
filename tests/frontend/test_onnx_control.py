"""If, Loop and Scan: resolved, unrolled, chosen by data, or refused with what would work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import parser
from onnx_suite.suite import Suite, compiled, to_mlx

from mlx_transpile.errors import TranspileError
from mlx_transpile.frontend.onnx import capture_model
from mlx_transpile.ir.graph import leaves

onnxruntime = pytest.importorskip("onnxruntime")
HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'


def _model(text: str) -> Any:
    return parser.parse_model(HEAD + text)


# Name, model, the shapes of two runs. B and L are free in the emitted code.
RUNS: list[tuple[str, str, Any]] = [
    (
        "if-known",
        """g (float[B, 3] x) => (float[B, 3] y) <bool yes = {1}, float[1] one = {1}> {
          y = If (yes) <then_branch = t () => (float[B, 3] a) { a = Add(x, one) },
                        else_branch = e () => (float[B, 3] b) { b = Sub(x, one) }>
        }""",
        [[(2, 3)], [(4, 3)]],
    ),
    (
        "if-rank",
        """g (float[B, 1, 3] x) => (y) <int64[1] one = {1}> {
          s = Shape <start = 1, end = 2> (x)
          e = Equal(s, one)
          y = If (e) <then_branch = t () => (a) { a = Squeeze(x, one) },
                      else_branch = e () => (b) { b = Identity(x) }>
        }""",
        [[(2, 1, 3)], [(4, 1, 3)]],
    ),
    (
        "if-data",
        """g (float[B, 3] x) => (float[B, 3] y) <float zero = {0}, float[1] one = {1}> {
          s = ReduceSum <keepdims = 0> (x)
          c = Greater(s, zero)
          y = If (c) <then_branch = t () => (float[B, 3] a) { a = Add(x, one) },
                      else_branch = e () => (float[B, 3] b) { b = Exp(x) }>
        }""",
        [[(2, 3)], [(4, 3)], [(5, 3)]],
    ),
    (
        "if-input",
        """g (bool c, float[B, 3] x) => (float[B, 3] y) <float[1] one = {1}> {
          y = If (c) <then_branch = t () => (float[B, 3] a) { a = Add(x, one) },
                      else_branch = e () => (float[B, 3] b) { b = Exp(x) }>
        }""",
        [[True, (2, 3)], [False, (4, 3)]],
    ),
    (
        "loop-carried",
        """g (float[B, 3] x) => (y, rows) <int64 trips = {4}, bool yes = {1}, float[1] half = {0.5}> {
          y, rows = Loop (trips, yes, x) <body = b (int64 i, bool c, float[B, 3] s) => (bool d, float[B, 3] t,
            float[B, 3] r) {
            d = Identity(c)
            f = Cast <to = 1> (i)
            u = Mul(s, half)
            t = Add(u, f)
            r = Sub(t, x)
          }>
        }""",
        [[(2, 3)], [(4, 3)]],
    ),
    (
        "loop-known-end",
        """g (float[B, 3] x) => (y) <int64 trips = {9}, bool yes = {1}, int64 two = {2}, float[1] half = {0.5}> {
          y = Loop (trips, yes, x) <body = b (int64 i, bool c, float[B, 3] s) => (bool d, float[B, 3] t) {
            d = Less(i, two)
            t = Mul(s, half)
          }>
        }""",
        [[(2, 3)], [(4, 3)]],
    ),
    (
        "loop-until",
        """g (float[B, 3] x) => (y) <int64 trips = {12}, bool yes = {1}, float limit = {0.3}, float[1] half = {0.5}> {
          y = Loop (trips, yes, x) <body = b (int64 i, bool c, float[B, 3] s) => (bool d, float[B, 3] t) {
            t = Mul(s, half)
            a = Abs(t)
            m = ReduceMax <keepdims = 0> (a)
            d = Greater(m, limit)
          }>
        }""",
        [[(2, 3)], [(4, 3)], [(7, 3)]],
    ),
    (
        "loop-nested",
        """g (float[B, 3] x) => (y) <int64 trips = {3}, bool yes = {1}, int64 one = {1}> {
          y = Loop (trips, yes, x) <body = b (int64 i, bool c, float[B, 3] s) => (bool d, float[B, 3] t) {
            d = Identity(c)
            last = Equal(i, one)
            t = If (last) <then_branch = p () => (float[B, 3] a) { a = Add(s, x) },
                           else_branch = q () => (float[B, 3] b2) { b2 = Tanh(s) }>
          }>
        }""",
        [[(2, 3)], [(4, 3)]],
    ),
    (
        "scan",
        """g (float[B] s, float[5, B] x) => (y, rows) {
          y, rows = Scan <num_scan_inputs = 1, body = b (float[B] a, float[B] e) => (float[B] t, float[B] r) {
            t = Add(a, e)
            r = Mul(t, e)
          }> (s, x)
        }""",
        [[(2,), (5, 2)], [(4,), (5, 4)]],
    ),
    (
        "scan-backwards",
        """g (float[B] s, float[B, 5] x) => (y, rows) <float[1] half = {0.5}> {
          y, rows = Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_input_directions = [1],
            scan_output_axes = [1], scan_output_directions = [1],
            body = b (float[B] a, float[B] e) => (float[B] t, float[B] r) {
            m = Mul(a, half)
            t = Add(m, e)
            r = Identity(t)
          }> (s, x)
        }""",
        [[(2,), (2, 5)], [(4,), (4, 5)]],
    ),
]


@pytest.mark.parametrize(("text", "runs"), [r[1:] for r in RUNS], ids=[r[0] for r in RUNS])
def test_runs_as_onnxruntime(text: str, runs: Sequence[Any]) -> None:
    model = _model(text)
    emitted, fixed = compiled(Suite("control", model, [], 0.0, 0.0))
    assert not fixed
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for seed, shapes in enumerate(runs):
        rng = np.random.default_rng(seed)
        arrays = [
            rng.standard_normal(s).astype(np.float32) if isinstance(s, tuple) else np.asarray(s)
            for s in shapes
        ]
        wanted = session.run(
            None, {v.name: a for v, a in zip(model.graph.input, arrays, strict=True)}
        )
        found = [np.array(v) for v in leaves(emitted(*(to_mlx(a) for a in arrays)))]
        for got, want in zip(found, wanted, strict=True):
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, 1e-5, 1e-5)


REFUSED: list[tuple[str, str, str, str]] = [
    (
        "if-types",
        """g (float[B, 3] x) => (y) <float zero = {0}, int64[1] first = {0}> {
          s = ReduceSum <keepdims = 0> (x)
          c = Greater(s, zero)
          y = If (c) <then_branch = t () => (a) { a = Unsqueeze(x, first) },
                      else_branch = e () => (b) { b = Exp(x) }>
        }""",
        "its results have two types: f32[1, B, 3], f32[B, 3]",
        "one element type and rank",
    ),
    (
        "loop-types",
        """g (float[B] x, int64 n) => (y) <bool yes = {1}, int64[1] first = {0}> {
          y = Loop (n, yes, x) <body = b (int64 i, bool c, float[B] s) => (bool d, float[1, B] t) {
            d = Identity(c)
            t = Unsqueeze(s, first)
          }>
        }""",
        "it carries a value of two types: f32[B], and f32[1, B] after a turn",
        "one element type and rank",
    ),
    (
        "loop-rows",
        """g (float[B] x, int64 n) => (y, rows) <bool yes = {1}> {
          y, rows = Loop (n, yes, x) <body = b (int64 i, bool c, float[T] s) => (bool d, float[U] t, float[U] r) {
            d = Identity(c)
            t = Concat <axis = 0> (s, x)
            r = Identity(t)
          }>
        }""",
        "it collects rows of different sizes",
        "rows of one size",
    ),
    (
        "loop-endless",
        """g (float[B] x) => (y) <bool yes = {1}> {
          y = Loop (, yes, x) <body = b (int64 i, bool c, float[B] s) => (bool d, float[B] t) {
            d = Identity(c)
            t = Tanh(s)
          }>
        }""",
        "it has no end",
        "a limit of turns",
    ),
]


@pytest.mark.parametrize(
    ("text", "message", "hint"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_says_what_would_work(text: str, message: str, hint: str) -> None:
    model = _model(text)
    for node in model.graph.node:
        node.name = f"the_{node.op_type.lower()}"
    with pytest.raises(TranspileError) as caught:
        capture_model(model)
    said = str(caught.value)
    assert message in said
    assert hint in said
    assert any(name in said for name in ("the_loop", "the_if", "the_add"))


@pytest.mark.parametrize(
    "name",
    ["test_if", "test_loop11", "test_scan_sum", "test_scan9_sum", "test_scan9_multi_state",
     "test_scan9_scalar"],
)  # fmt: skip
def test_suite_cases_of_tensors(name: str) -> None:
    from onnx_suite.groups import node_cases
    from onnx_suite.suite import check

    check(next(c for c in node_cases() if c.name == name))
