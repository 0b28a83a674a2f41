"""ONNX's node suite: what `cases.tsv` says passes, passes; nothing that fails is called passed.

Each case goes through the whole compiler to emitted Python that runs in MLX.
"""

from __future__ import annotations

from collections import Counter

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnx_ir")

from .report import CASES, Line, lines
from .suite import Suite, check, node_cases

LINES = lines() if CASES.exists() else []
GOAL = 1560


@pytest.fixture(scope="session")
def cases() -> dict[str, Suite]:
    """The installed suite by name."""
    return {case.name: case for case in node_cases()}


@pytest.mark.parametrize(
    "line", [line for line in LINES if line.status == "passed"], ids=lambda line: line.name
)
def test_case(line: Line, cases: dict[str, Suite]) -> None:
    fixed = check(cases[line.name])
    assert ",".join(fixed) == line.fixed


def test_counts() -> None:
    count = Counter(line.status for line in LINES)
    assert count["passed"] >= GOAL
    assert all(line.reason for line in LINES if line.status != "passed")


def test_every_case_is_listed(cases: dict[str, Suite]) -> None:
    assert {line.name for line in LINES} == set(cases)
