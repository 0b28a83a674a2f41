"""Runs ONNX's node suite and writes what came of it.

    python -m tests.onnx_suite.report            # runs all cases, writes both files

`tests/onnx_suite/cases.tsv` has a line for each case: name, operator, what came of it (passed,
failed, excluded), the reason, and the inputs whose value was fixed at capture. `docs/onnx-ops.md`
is the table by operator. Case `test_node.py` runs the list.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(__file__).parent / "cases.tsv"
DOC = ROOT / "docs" / "onnx-ops.md"

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
}


@dataclass(frozen=True)
class Line:
    """A line of cases.tsv."""

    name: str
    operator: str
    status: str
    reason: str = ""
    fixed: str = ""

    def __str__(self) -> str:
        return "\t".join((self.name, self.operator, self.status, self.reason, self.fixed)).rstrip()


def lines() -> list[Line]:
    """What is committed."""
    rows = CASES.read_text(encoding="utf-8").splitlines()
    return [Line(*row.split("\t")) for row in rows]


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


def excluded(case: Any) -> str:
    """Why a case is not run, although it has tensors only; "" where it is run."""
    for node in case.model.graph.node:
        if node.op_type in _OPERATORS:
            return _OPERATORS[node.op_type]
        if node.op_type == "Dropout" and case.name.startswith("test_training_dropout"):
            drops = "zero_ratio" not in case.name
            if drops:
                return "random numbers"
    return ""


def operator(case: Any) -> str:
    """The operator that a case is named for: an expanded one counts as it too."""
    nodes = case.model.graph.node
    plain = re.sub(r"_expanded(_ver\d+)?$", "", case.name)
    return nodes[0].op_type if plain == case.name and nodes else f"={plain}"


def run(cases: Iterable[Any]) -> list[Line]:
    """Run all; one line each."""
    from .suite import check

    found = []
    names: dict[str, str] = {}
    for case in cases:
        op = operator(case)
        op = (
            names.get(op[1:], "(function)")
            if op.startswith("=")
            else names.setdefault(case.name, op)
        )
        why = outside(case.model)
        if why:
            found.append(Line(case.name, op, "outside", why))
            continue
        why = excluded(case)
        if why:
            found.append(Line(case.name, op, "excluded", why))
            continue
        try:
            fixed = check(case)
            found.append(Line(case.name, op, "passed", "", ",".join(fixed)))
        except Exception as error:
            text = next(iter(str(error).strip().splitlines()), type(error).__name__)
            rest = str(error).strip().splitlines()[1:2]
            text = " ".join([text, *(line.strip() for line in rest)])
            found.append(Line(case.name, op, "failed", text.replace("\t", " ")[:160]))
    return found


def document(found: list[Line]) -> str:
    """The page: totals, a table by operator, every failure and every exclusion."""
    count = Counter(line.status for line in found)
    tensors = [line for line in found if line.status != "outside"]
    fixed = sum(bool(line.fixed) for line in tensors)
    by_operator: dict[str, Counter[str]] = defaultdict(Counter)
    for line in found:
        by_operator[line.operator][line.status] += 1
    out = [
        "# ONNX operators",
        "",
        "Made by `python -m tests.onnx_suite.report`: every node case of ONNX's backend test suite,",
        "compiled to Python that runs in MLX and compared with the outputs that the suite holds.",
        "",
        f"- {len(found)} cases; {len(tensors)} of them have tensors of numbers that this project "
        "knows, the others are counted as *outside*",
        f"- {count['passed']} passed, {count['failed']} failed, {count['excluded']} excluded, "
        f"{count['outside']} outside",
        f"- in {fixed} of those that passed, inputs that decide shapes (axes, sizes, repeats) were "
        "fixed at the values of the case",
        "",
        "| operator | passed | failed | excluded | outside |",
        "|---|---|---|---|---|",
    ]
    for op, counts in sorted(by_operator.items()):
        cells = (counts[s] or "" for s in ("passed", "failed", "excluded", "outside"))
        out.append(f"| {op} | {' | '.join(map(str, cells))} |")
    for title, status in (("Failed", "failed"), ("Excluded", "excluded"), ("Outside", "outside")):
        out += ["", f"## {title}", ""]
        out += _reasons([line for line in found if line.status == status])
    return "\n".join(out) + "\n"


def _reasons(found: list[Line]) -> list[str]:
    groups: dict[str, list[str]] = defaultdict(list)
    for line in found:
        groups[line.reason].append(line.name.removeprefix("test_"))
    return [f"- {why}: {', '.join(sorted(names))}" for why, names in sorted(groups.items())]


def main() -> int:
    from .suite import node_cases

    found = run(node_cases())
    CASES.write_text("".join(f"{line}\n" for line in found), encoding="utf-8")
    DOC.write_text(document(found), encoding="utf-8")
    print(dict(Counter(line.status for line in found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
