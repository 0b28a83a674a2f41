"""Comparison, the choice of sizes, the pairing of modules, and the report."""

import json
from pathlib import Path

import hand
import numpy as np
import pytest

from mlx_transpile.cases import Case, Unrunnable, run_cases, size_sets
from mlx_transpile.compare import Tolerance, compare
from mlx_transpile.frontend.source import DimEvidence
from mlx_transpile.ir import Graph
from mlx_transpile.report import as_json, as_markdown
from mlx_transpile.report_parts import cell
from mlx_transpile.validate import Report, compare_results, validate

TIGHT = Tolerance(1e-4, 1e-4)
ONE = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


# ---- arrays


@pytest.mark.parametrize(
    ("got", "want", "ok"),
    [
        (ONE, ONE, True),
        (ONE + 1.5e-4, ONE, False),
        (ONE + 9e-5, ONE, True),
        (ONE * 1000 + 0.09, ONE * 1000, True),  # relative to the magnitude
        (ONE * 1e-3 + 1e-5, ONE * 1e-3, False),
        (ONE * 1e-9, ONE * 0, True),  # a magnitude counts as 0.01 at the least
        (ONE.astype(np.float64), ONE, True),
        (np.array([1, 2]), np.array([1, 2], np.int32), True),
        (np.array([1, 3]), np.array([1, 2]), False),
        (np.array([1.0, 2.0]), np.array([1, 2]), False),
        (np.array([True]), np.array([1]), False),
        (np.array([np.inf, np.nan, 1]), np.array([np.inf, np.nan, 1]), True),
        (np.array([np.inf, 0, 1]), np.array([np.inf, np.nan, 1]), False),
        (np.array([-np.inf, 1]), np.array([np.inf, 1]), False),
        (np.array([np.nan, 1]), np.array([0.0, 1]), False),
        (np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), True),
        (np.array([1 + 1j]), np.array([1 + 1j]), True),
        (np.array([1 + 1j]), np.array([1 - 1j]), False),
        (np.float32(3).reshape(()), np.float32(3).reshape(()), True),
        (ONE.T, ONE, False),
        (None, None, True),
        (3, 4, False),
    ],
)
def test_compare(got: object, want: object, ok: bool) -> None:
    assert compare(got, want, TIGHT).ok is ok


def test_measures() -> None:
    found = compare(np.array([1.0, -2.5]), np.array([1.0, -2.0]), TIGHT)
    assert (found.max_abs, found.max_rel) == (0.5, 0.25)
    assert found.cosine == pytest.approx(6 / (7.25 * 5) ** 0.5)
    assert compare(np.array([1.0]), np.array([-1.0]), TIGHT).cosine == -1


def test_reasons() -> None:
    assert compare(ONE.T, ONE, TIGHT).note == "shape [4, 3] instead of [3, 4]"
    assert compare(np.array([1.0]), np.array([1]), TIGHT).note == "dtype float64 instead of int64"
    assert compare(np.array([1, 3]), np.array([1, 2]), TIGHT).note == "1 of 2 elements differ"


def test_results_of_another_structure() -> None:
    (found,) = compare_results({"a": ONE}, (ONE, ONE), TIGHT)
    assert found[1].note == "the result holds a instead of 0, 1"
    nested = compare_results({"a": [ONE, (ONE,)]}, {"a": [ONE, (ONE,)]}, TIGHT)
    assert [name for name, _ in nested] == ["a.0", "a.1.0"]


# ---- sizes


def graph(head: str) -> Graph:
    return hand.graph(
        f"@graph('Net'{head})\ndef forward(x: f32[B, L, 8]):\n    h: f32[B, L, 8] = relu(x)\n    return h\n"
    )


def test_every_symbol_takes_every_size_and_symbols_differ() -> None:
    sets = size_sets(graph(""), {"B": 2, "L": 5})
    assert sets[0] == {"B": 2, "L": 5}
    for name in ("B", "L"):
        assert {s[name] for s in sets[1:]} == {1, 3, 17}
    assert all(s["B"] != s["L"] for s in sets)


def test_sizes_stay_within_bounds() -> None:
    sets = size_sets(graph(", B=(1, 2), L=(40, 60)"), {"B": 2, "L": 50})
    assert {s["B"] for s in sets} == {1, 2}
    assert {s["L"] for s in sets} == {40, 50, 60}


def test_a_bounded_symbol_without_an_upper_end_takes_two_sizes() -> None:
    assert {s["L"] for s in size_sets(graph(", L=(32, None)"), {"B": 2, "L": 32})} == {32, 33}


def test_sizes_at_which_the_source_fails_are_noted() -> None:
    def run(inputs: list[np.ndarray]) -> np.ndarray:
        if inputs[0].shape[1] == 3:
            raise RuntimeError("\n  too short\n")
        return inputs[0]

    captured = hand.captured(run=run)
    good, bad = run_cases(captured, [{"B": 1, "L": 4}, {"B": 1, "L": 3}], 0)
    assert isinstance(good, Case)
    assert bad == Unrunnable({"B": 1, "L": 3}, "RuntimeError: too short")


# ---- models

MODEL = """
import mlx.core as mx
import mlx.nn as nn


class Double(nn.Module):
    def __call__(self, x):
        return x * FACTOR


class Swap(nn.Module):
    def __call__(self, x):
        return x.transpose(0, 2, 1)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.double = Double()
        self.parts = [Swap()]

    def __call__(self, x):
        return self.double(self.double(x)), self.parts[0](x)


def load(path=None):
    return Model()
"""
TEXT = """@graph('Net')
def forward(x: f32[B, L, 8]):
    with module('double', 'Double'):
        h: f32[B, L, 8] = multiply(x, 2.0)
    with module('double', 'Double', call=1):
        h__2: f32[B, L, 8] = multiply(h, 2.0)
    with module('swap', 'Swap'):
        s: f32[B, 8, L] = transpose(x, axes=(0, 2, 1))
    with module('gone', 'Gone'):
        g: f32[B, L, 8] = relu(x)
    return (h__2, s)
"""
MODULES = {("double", 0): "double", ("double", 1): "double", ("swap", 0): "parts.0", ("", 0): ""}


def run(
    tmp_path: Path,
    factor: float = 2.0,
    modules: dict[tuple[str, int], str] = MODULES,
    **changes: object,
) -> Report:
    (tmp_path / "model.py").write_text(MODEL.replace("FACTOR", str(factor)))
    captured = hand.captured(TEXT, **changes)
    captured.dims[:] = []
    return validate(captured, modules, tmp_path, TIGHT)


def test_outputs_and_modules_are_compared(tmp_path: Path) -> None:
    report = run(tmp_path)
    assert report.ok
    assert [c.sizes for c in report.cases] == [
        {"B": 1, "L": 3},
        {"B": 3, "L": 17},
        {"B": 17, "L": 1},
    ]
    case = report.cases[0]
    assert [name for name, _ in case.outputs] == ["0", "1"]
    checks = {(m.path, m.call): m for m in case.modules}
    assert checks["double", 0].difference and checks["double", 0].difference.ok
    assert checks["double", 1].difference and checks["double", 1].difference.ok
    assert checks["swap", 0].difference and checks["swap", 0].difference.ok
    assert checks["gone", 0].skipped == "no module of its own in model.py"
    assert not (tmp_path / "__pycache__").exists()


def test_the_first_module_that_diverges_is_named(tmp_path: Path) -> None:
    report = run(tmp_path, factor=2.5)
    assert not report.ok
    first = report.cases[0].first_divergence
    assert first and (first.path, first.call) == ("double", 0)
    text = as_markdown(report)
    assert "DIFFERS from its source" in text
    assert "first diverges double" in text
    assert as_json(report)["cases"][0]["first_divergence"] == "double"


def test_other_numbers_of_calls_are_not_paired(tmp_path: Path) -> None:
    report = run(tmp_path, modules={("double", 0): "double"})
    assert [m.skipped for m in report.cases[0].modules if m.path == "double"] == [
        "called 2 times, 1 in the source",
        "no module of its own in model.py",
    ]


def test_calls_of_one_module_may_run_in_another_order(tmp_path: Path) -> None:
    text = """@graph('Net')
def forward(x: f32[B, L, 8]):
    with module('double', 'Double'):
        a: f32[B, L, 8] = multiply(x, 2.0)
    y: f32[B, L, 8] = add(x, 1.0)
    with module('double', 'Double', call=1):
        b: f32[B, L, 8] = multiply(y, 2.0)
    return (a, b)
"""
    body = "b = self.double(x + 1.0)\n        return self.double(x), b"
    model = MODEL.replace("return self.double(self.double(x)), self.parts[0](x)", body)
    for factor, ok in (("2.0", True), ("2.5", False)):
        (tmp_path / "model.py").write_text(model.replace("FACTOR", factor))
        report = validate(hand.captured(text, dims=[]), MODULES, tmp_path, TIGHT)
        assert report.ok is ok
        checks = [m.difference for m in report.cases[0].modules if m.path == "double"]
        assert [d.ok for d in checks if d] == [ok, ok]


def test_channels_last_counts_as_equal(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        MODEL.replace("FACTOR", "2.0").replace("x.transpose(0, 2, 1)", "x")
    )
    captured = hand.captured(TEXT)
    report = validate(captured, MODULES, tmp_path, TIGHT)
    swap = next(m for m in report.cases[0].modules if m.path == "swap")
    assert swap.difference and swap.difference.ok
    assert not report.ok  # the result itself may not be permuted


def test_classes_are_as_before_after_a_record(tmp_path: Path) -> None:
    import mlx.nn as nn

    before = nn.Linear.__call__, nn.Module.__dict__.get("__call__")
    run(tmp_path)
    assert (nn.Linear.__call__, nn.Module.__dict__.get("__call__")) == before


def test_a_model_that_does_not_run_fails(tmp_path: Path) -> None:
    report = run(tmp_path, factor="mx.zeros((2, 2, 2, 3))")  # type: ignore[arg-type]
    assert not report.ok
    assert "ValueError" in report.cases[0].error
    assert "FAILED" in as_markdown(report)


def test_a_source_that_never_runs_proves_nothing(tmp_path: Path) -> None:
    def fail(inputs: object) -> None:
        raise RuntimeError("no")

    report = run(tmp_path, run=fail)
    assert not report.ok
    assert all(c.unrunnable for c in report.cases)


def test_a_symbol_that_ran_at_one_size_is_tried_alone(tmp_path: Path) -> None:
    dims = [DimEvidence("x", i, "free", n, s, "") for i, (n, s) in enumerate([(2, "B"), (4, "L")])]

    def source(inputs: list[np.ndarray]) -> object:
        if inputs[0].shape[1] not in (4, 8):
            raise RuntimeError("only 4 and 8")
        return inputs[0] * 4, inputs[0].transpose(0, 2, 1)

    (tmp_path / "model.py").write_text(MODEL.replace("FACTOR", "2.0"))
    captured = hand.captured(TEXT, run=source, dims=dims)
    report = validate(captured, MODULES, tmp_path, TIGHT)
    assert report.ok
    assert report.ran("L") == [4, 8]
    assert report.ran("B") == [1, 2]
    assert "- L at 4, 8" in as_markdown(report)
    assert as_json(report)["sizes"] == {"B": [1, 2], "L": [4, 8]}


def test_very_small_outputs_prove_nothing_by_themselves(tmp_path: Path) -> None:
    text = """@graph('Net')
def forward(x: f32[B, L, 8]):
    with module('double', 'Double'):
        a: f32[B, L, 8] = multiply(x, 2.0)
    b: f32[B, L, 8] = multiply(a, 1e-09)
    return b
"""
    model = MODEL.replace("self.double(self.double(x)), self.parts[0](x)", "self.double(x) * 1e-9")
    for factor, ok in (("2.0", True), ("3.0", False)):
        (tmp_path / "model.py").write_text(model.replace("FACTOR", factor))
        report = validate(hand.captured(text, dims=[]), MODULES, tmp_path, TIGHT)
        assert all(d.ok and d.weak for c in report.cases for _, d in c.outputs)
        assert report.ok is ok
    assert "very small values" in as_markdown(report)


def test_json_has_no_number_that_json_lacks(tmp_path: Path) -> None:
    report = run(tmp_path, factor=float("1e39"))
    json.dumps(as_json(report), allow_nan=False)


def test_names_from_a_model_stay_in_their_cell() -> None:
    assert cell("a|b\n# <b>") == "a\\|b # \\<b>"
