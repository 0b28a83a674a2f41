"""The report's sections about the C++ and about times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .compare import Difference
from .report_parts import cell, difference_json, sizes_text, verdict
from .validate_cpp import CppCase, CppReport

Named = Sequence[tuple[str, Difference]]


def cpp_json(report: CppReport) -> dict[str, Any]:
    """`passed` is None where nothing was built."""
    built = report.build
    return {
        "passed": report.ok if not built.missing else None,
        "not_built": built.missing or None,
        "error": built.error or None,
        "compiler": built.compiler,
        "build_seconds": round(built.seconds, 1),
        "warnings": list(built.warnings),
        "lines": dict(built.lines),
        "bound": report.bound,
        "cases": [
            {
                "sizes": case.sizes,
                "passed": report.agrees(case),
                "error": case.error or None,
                "against_python": _named_json(case.against_python),
                "against_source": _named_json(case.against_source),
            }
            for case in report.cases
        ],
    }


def _named_json(found: Named) -> list[dict[str, Any]]:
    return [{"name": name, **difference_json(d)} for name, d in found]


def cpp_verdict(report: CppReport | None) -> list[str]:
    """The sentence at the top of the report."""
    if report is None:
        return []
    if report.build.missing:
        return [f"The C++ was not built: {cell(report.build.missing)}.", ""]
    if report.build.error:
        return ["The C++ DOES NOT BUILD.", ""]
    if report.ok:
        others = " and with the source" if report.judge_source else ""
        return [f"The C++ agrees with the Python{others}.", ""]
    others = " or from the source" if report.judge_source else ""
    return [f"The C++ DIFFERS from the Python{others}.", ""]


def cpp_markdown(report: CppReport) -> list[str]:
    lines = ["## C++", "", *_build(report), ""]
    if report.build.error:
        return [*lines, *map(_code, report.build.error.splitlines()), ""]
    if not report.cases:
        return lines
    lines += [
        f"An output may differ from that of the Python by {report.bound:g} times its largest "
        f"magnitude (0.01 at the least){_of_source(report)}",
        "",
        "| sizes | output | max abs to Python | max rel | max abs to source | max rel | |",
        "|---|---|---|---|---|---|---|",
        *(row for case in report.cases for row in _rows(case, report.judge_source)),
        "",
        f"Largest of all, relative to the magnitude: {report.largest('python'):.2e} to Python"
        + ("." if report.seeded else f", {report.largest('source'):.2e} to the source."),
        "",
    ]
    return lines


def _of_source(report: CppReport) -> str:
    if report.seeded:
        return ". Both draw the random numbers of one seed; the source draws others."
    told = "" if report.judge_source else " How far it is from the source is only told."
    return f", and from the source's as the Python's may.{told}"


def _build(report: CppReport) -> list[str]:
    """The compiler, what it was given and what it said."""
    built = report.build
    count = f"{sum(built.lines.values())} lines"
    parts = ", ".join(f"{name} {number}" for name, number in built.lines.items())
    if built.missing:
        return [f"{count} ({parts}), not built: {cell(built.missing)}."]
    if built.error:
        return [f"{count} ({parts}). {cell(built.compiler)} gives:"]
    warnings = len(built.warnings)
    said = f"{warnings or 'no'} warning{'s' * (warnings != 1)}"
    built_in = f"{cell(built.compiler)}: {built.seconds:.1f} s to build, {said}, {count} ({parts})."
    return [built_in, *(f"- {cell(text)}" for text in built.warnings[:10])]


def _rows(case: CppCase, judge_source: bool) -> list[str]:
    sizes = sizes_text(case.sizes)
    if case.error:
        return [f"| {sizes} | - | | | | | FAILED: {cell(case.error)} |"]
    python, source = dict(case.against_python), dict(case.against_source)
    return [
        f"| {sizes} | {cell(name)} | {_pair(python.get(name))} | {_pair(source.get(name))} | "
        f"{_state(python.get(name), source.get(name) if judge_source else None)} |"
        for name in {**python, **source}
    ]


def _pair(d: Difference | None) -> str:
    return f"{d.max_abs:.2e} | {d.max_rel:.2e}" if d else " | "


def _state(python: Difference | None, source: Difference | None) -> str:
    """Which comparison fails, and its note."""
    pairs = [("Python", python), ("the source", source)]
    failed = [
        f"FAILED against {name} {cell(d.note)}".rstrip() for name, d in pairs if d and not d.ok
    ]
    found = [d for _, d in pairs if d]
    return "; ".join(failed) or f"{verdict(found[0])} {cell(found[0].note)}".rstrip()


def _code(line: str) -> str:
    """A line of the compiler as code."""
    return "    " + "".join(c if c.isprintable() else " " for c in line)


# ---- times

TITLES = {"source": "source", "python": "emitted Python", "cpp": "emitted C++"}


def benchmark_markdown(found: dict[str, Any]) -> list[str]:
    """Source, Python and C++ side by side."""
    blas = found["blas"]
    said = (
        f"Python and C++ with {blas} in place of the BLAS that MLX brings"
        if blas
        else "no OpenBLAS was found: Python and C++ with the BLAS that MLX brings"
    )
    lines = [
        "## Time",
        "",
        f"Inputs: {found['inputs']}. One thread; {said}.",
        "",
        "| | median ms | p90 ms | calls/s | runs |",
        "|---|---|---|---|---|",
    ]
    for name, row in found["rows"].items():
        if "missing" in row:
            lines.append(f"| {TITLES[name]} | | | | {cell(row['missing'])} |")
        else:
            lines.append(
                f"| {TITLES[name]} | {row['median_ms']:.3f} | {row['p90_ms']:.3f} "
                f"| {row['calls_per_second']:.1f} | {row['runs']} |"
            )
    return [*lines, ""]
