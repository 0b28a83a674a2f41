"""Runs ONNX's backend test suite and writes what came of it.

    python -m tests.onnx_suite.report            # runs all cases, writes both files

`tests/onnx_suite/cases.tsv` has a line for each case: name, operator, what came of it (passed,
failed, excluded), the reason, the inputs whose value was fixed at capture, and the group where it
is not `node`. `docs/onnx-ops.md` is the table by operator. `test_cases.py` runs the list.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from .groups import GROUPS, Suite

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(__file__).parent / "cases.tsv"
DOC = ROOT / "docs" / "onnx-ops.md"
STATUSES = ("passed", "failed", "excluded", "outside")

_TYPES = {
    "STRING": "strings are no tensors",
    "FLOAT8": "8-bit floats",
    "FLOAT4": "4-bit floats",
    "INT4": "4-bit integers",
    "UINT4": "4-bit integers",
    "INT2": "2-bit integers",
    "UINT2": "2-bit integers",
}
_OPERATORS = {
    "Bernoulli": "random numbers",
    "RandomUniformLike": "random numbers",
    "ImageDecoder": "decodes image files on the host",
    "OptionalHasElement": "optional values are no tensors",
    "OptionalGetElement": "optional values are no tensors",
    "Gradient": "training",
}
_WIDE = "float64 numbers that float32, which MLX computes in, does not reach"
_CASES = {
    "test_operator_add_broadcast": _WIDE,
    "test_operator_add_size1_right_broadcast": _WIDE,
    "test_operator_add_size1_singleton_broadcast": _WIDE,
    "test_operator_addconstant": _WIDE,
    "test_squeezenet": "softmax of equal numbers near 9.5e9, where neighbours in float32 are 1024 "
    "apart: the order of sums decides; test_cases.py compares them without the softmax",
}


@dataclass(frozen=True)
class Line:
    """A line of cases.tsv."""

    name: str
    operator: str
    status: str
    reason: str = ""
    fixed: str = ""
    group: str = "node"

    def __str__(self) -> str:
        group = "" if self.group == "node" else self.group
        cells = (self.name, self.operator, self.status, self.reason, self.fixed, group)
        return "\t".join(cells).rstrip()


def lines() -> list[Line]:
    """What is committed."""
    rows = [row.split("\t") for row in CASES.read_text(encoding="utf-8").splitlines()]
    return [Line(*row) for row in rows]


def outside(model: Any) -> str:
    """Why a case is no concern of tensors of numbers; "" where it is one."""
    for value in [*model.graph.input, *model.graph.output]:
        kind = value.type.WhichOneof("value")
        if kind != "tensor_type":
            return f"{(kind or 'no').removesuffix('_type')} values are no tensors"
        name = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
        for prefix, reason in _TYPES.items():
            if name.startswith(prefix):
                return reason
    return ""


def excluded(case: Suite) -> str:
    """Why a case is not run, although it has tensors only; "" where it is run."""
    if case.name in _CASES:
        return _CASES[case.name]
    for node in case.model.graph.node:
        if node.op_type in _OPERATORS:
            return _OPERATORS[node.op_type]
        if node.op_type == "Dropout" and case.name.startswith("test_training_dropout"):
            drops = "zero_ratio" not in case.name
            if drops:
                return "random numbers"
    return ""


def operators(cases: Iterable[Suite]) -> dict[str, str]:
    """The operator that each node case is named for: an expanded one counts as it too."""
    found: dict[str, str] = {}
    for case in cases:
        plain = re.sub(r"_expanded(_ver\d+)?$", "", case.name)
        nodes = case.model.graph.node
        if case.group == "node" and plain == case.name and nodes:
            found[case.name] = nodes[0].op_type
        else:
            found[case.name] = found.get(plain, "(function)" if case.group == "node" else "(model)")
    return found


def run(case: Suite, operator: str) -> Line:
    """What comes of a case."""
    line = Line(case.name, operator, "passed", group=case.group)
    for status, why in (("outside", outside(case.model)), ("excluded", excluded(case))):
        if why:
            return replace(line, status=status, reason=why)
    from .suite import check

    try:
        return replace(line, fixed=",".join(check(case)))
    except Exception as error:
        return replace(line, status="failed", reason=_reason(error))


def _reason(error: Exception) -> str:
    """The first two lines of an error."""
    text = [line.strip() for line in str(error).strip().splitlines()] or [type(error).__name__]
    return " ".join(text[:2]).replace("\t", " ")[:160]


def document(found: list[Line]) -> str:
    """The page: totals, a table by operator, every failure and every exclusion."""
    by_operator: dict[str, Counter[str]] = defaultdict(Counter)
    for line in found:
        if line.group == "node":
            by_operator[line.operator][line.status] += 1
    node = [line for line in found if line.group == "node"]
    tensors = [line for line in node if line.status != "outside"]
    fixed = sum(bool(line.fixed) for line in tensors)
    out = [
        "# ONNX operators",
        "",
        "Made by `python -m tests.onnx_suite.report`: the cases of ONNX's backend test suite,",
        "compiled to Python that runs in MLX and compared with the outputs that the suite holds.",
        "",
        f"- {len(node)} node cases; {len(tensors)} of them have tensors of numbers that this "
        "project knows, the others are counted as *outside*",
        f"- in {fixed} of those that passed, inputs that decide shapes (axes, sizes, repeats) were "
        "fixed at the values of the case",
        "",
        *_table("group", {g: Counter(x.status for x in found if x.group == g) for g in GROUPS}),
        "",
        *_table("operator", dict(sorted(by_operator.items()))),
    ]
    for title, status in (("Failed", "failed"), ("Excluded", "excluded"), ("Outside", "outside")):
        out += ["", f"## {title}", ""]
        out += _reasons([line for line in found if line.status == status])
    return "\n".join(out) + "\n"


def _table(title: str, rows: Mapping[str, Counter[str]]) -> list[str]:
    out = [f"| {title} | {' | '.join(STATUSES)} |", f"|---{'|---' * len(STATUSES)}|"]
    for name, counts in rows.items():
        out.append(f"| {name} | {' | '.join(str(counts[s] or '') for s in STATUSES)} |")
    return out


def _reasons(found: list[Line]) -> list[str]:
    groups: dict[str, list[str]] = defaultdict(list)
    for line in found:
        groups[line.reason].append(line.name.removeprefix("test_"))
    return [f"- {why}: {', '.join(sorted(names))}" for why, names in sorted(groups.items())]


def main() -> int:
    from .groups import all_cases

    cases = all_cases()
    names = operators(cases)
    found = [run(case, names[case.name]) for case in cases]
    CASES.write_text("".join(f"{line}\n" for line in found), encoding="utf-8")
    DOC.write_text(document(found), encoding="utf-8")
    print(dict(Counter(line.status for line in found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
