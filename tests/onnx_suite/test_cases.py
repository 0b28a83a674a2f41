"""ONNX's backend suite: what comes of each case is what `cases.tsv` says.

Each case goes through the whole compiler to emitted Python that runs in MLX. A case that passed
and fails now is an error here, and so is one that failed and passes now: then the list and the
page are out of date (`python -m tests.onnx_suite.report` writes both).
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx_ir")

from .groups import Suite, all_cases  # noqa: E402
from .report import DOC, Line, document, lines, operators, run  # noqa: E402
from .suite import compare, compiled, to_mlx  # noqa: E402

LINES = lines()
GOAL = 1560  # of the node cases with tensors of numbers


@pytest.fixture(scope="session")
def cases() -> dict[str, Suite]:
    """The installed suite by name."""
    return {case.name: case for case in all_cases()}


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_case(line: Line, cases: dict[str, Suite]) -> None:
    found = run(cases[line.name], line.operator)
    assert found.status == line.status, found.reason or "it passes now: run the report again"
    assert (found.fixed, found.group) == (line.fixed, line.group)


def test_counts() -> None:
    node = Counter(line.status for line in LINES if line.group == "node")
    assert node["passed"] >= GOAL
    assert all(line.reason for line in LINES if line.status != "passed")


def test_every_case_is_listed(cases: dict[str, Suite]) -> None:
    assert {line.name: line.operator for line in LINES} == operators(cases.values())


def test_the_page_is_that_of_the_list() -> None:
    assert DOC.read_text(encoding="utf-8") == document(LINES)


def test_squeezenet_up_to_its_softmax(cases: dict[str, Suite]) -> None:
    """The suite's result is 1/1000 everywhere: what the softmax is given are equal numbers."""
    case = cases["test_squeezenet"]
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    assert model.graph.node[-1].op_type == "Softmax"
    model.graph.output[0].name = model.graph.node.pop().input[0]
    logits, _ = compiled(Suite(case.name, model, case.data, case.rtol, case.atol))
    image = case.data[0][0][0]
    found = np.array(logits(to_mlx(image)))
    assert found.max() > 1e9
    compare([logits(to_mlx(image))], [np.full_like(found, found.mean())], case)
