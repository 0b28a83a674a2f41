"""report.json and report.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .codegen.project import write_json, write_text
from .compare import RULE, Difference
from .report_cpp import benchmark_markdown, cpp_json, cpp_markdown, cpp_verdict
from .report_parts import cell, difference_json, finite, numbers, sizes_text, verdict
from .validate import UNSEEN, CaseReport, ModuleCheck, Report


def write_report(folder: Path, report: Report) -> None:
    """Write both files into the folder."""
    write_json(folder / "report.json", as_json(report))
    write_text(folder / "report.md", as_markdown(report))


# ---- JSON


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain data; a number that is not finite is None."""
    return {
        "passed": report.ok if report.cases else None,
        "dtype": report.dtype,
        "tolerance": {"atol": report.tolerance.atol, "rtol": report.tolerance.rtol, "rule": RULE},
        "max_abs": finite(report.max_abs),
        "sizes": {name: report.ran(name) for name in sorted(report.symbols)},
        "cases": [_case(case) for case in report.cases],
        "quantization": report.quantization,
        **({"notes": list(report.notes)} if report.notes else {}),
        **({"cpp": cpp_json(report.cpp)} if report.cpp else {}),
        "benchmark": report.benchmark,
    }


def _case(case: CaseReport) -> dict[str, Any]:
    first = case.first_divergence
    return {
        "sizes": case.sizes,
        "passed": case.ok if not case.unrunnable else None,
        "error": case.error or None,
        "source_does_not_run": case.unrunnable or None,
        "outputs": [{"name": name, **difference_json(d)} for name, d in case.outputs],
        **(
            {"against_source": [{"name": name, **difference_json(d)} for name, d in against]}
            if (against := case.against_source)
            else {}
        ),
        **(
            {"source_itself": [{"name": n, **difference_json(d)} for n, d in case.source_itself]}
            if case.source_itself
            else {}
        ),
        **({"source_refuses_dtype": case.source_refuses} if case.source_refuses else {}),
        "first_divergence": _where(first) if first else None,
        "modules": [
            {
                "path": m.path,
                "call": m.call,
                **(difference_json(m.difference) if m.difference else {"skipped": m.skipped}),
            }
            for m in case.modules
        ],
    }


def _where(check: ModuleCheck) -> str:
    path = check.path or "the whole model"
    return f"{path} (call {check.call + 1})" if check.call else path


# ---- Markdown


def as_markdown(report: Report) -> str:
    """The report for people."""
    lines = ["# Report", ""]
    if report.cases:
        agrees = "agrees with" if report.python_ok else "DIFFERS from"
        anew = report.quantization and not report.quantization.get("own")
        other = "itself on the dequantized weights" if anew else "its source"
        unseen = any(d.note == UNSEEN for c in report.cases for _, d in c.outputs)
        other += " as far as the two can be compared" if unseen else ""
        lines += [f"The emitted model {agrees} {other}.", ""]
        lines += [*cpp_verdict(report.cpp), _rule(report), ""]
        lines += [*(f"- {note}" for note in report.notes), ""] if report.notes else []
        lines += _sizes(report)
        lines += _outputs(report.cases)
        lines += _source_itself(report)
        lines += cpp_markdown(report.cpp) if report.cpp else []
        lines += _modules(report.cases)
    if report.quantization:
        lines += _quantization(report.quantization, report.cases)
    if report.benchmark:
        lines += benchmark_markdown(report.benchmark)
    return "\n".join(lines).rstrip() + "\n"


def _rule(report: Report) -> str:
    weights = f" Weights are {report.dtype}; the source's are as captured." if report.dtype else ""
    used = report.tolerance
    return f"{RULE} Here atol is {used.atol:g} and rtol {used.rtol:g}.{weights}"


def _sizes(report: Report) -> list[str]:
    """Which sizes the comparison stands for."""
    lines = []
    for name in sorted(report.symbols):
        ran = report.ran(name)
        sizes = ", ".join(map(str, ran)) or "no size"
        lines.append(f"- {name} at {sizes}{' only' if len(ran) < 2 else ''}")
    return ["Sizes that ran:", "", *lines, ""] if lines else []


def _outputs(cases: list[CaseReport]) -> list[str]:
    lines = [
        "## Outputs",
        "",
        "| sizes | output | max abs | max rel | cosine | |",
        "|---|---|---|---|---|---|",
    ]
    for case in cases:
        sizes = sizes_text(case.sizes)
        if case.unrunnable:
            lines.append(
                f"| {sizes} | - | | | | the source does not run: {cell(case.unrunnable)} |"
            )
        elif case.error:
            lines.append(f"| {sizes} | - | | | | FAILED: {cell(case.error)} |")
        for name, d in case.outputs:
            if d.note == UNSEEN:
                lines.append(f"| {sizes} | {cell(name)} | | | | {UNSEEN} |")
                continue
            state = f"{verdict(d)} {cell(d.note)}"
            lines.append(f"| {sizes} | {cell(name)} | {numbers(d)} | {state} |")
    return [*lines, ""]


def _source_itself(report: Report) -> list[str]:
    """Our errors beside the source's own, where it runs at the dtype of the weights."""
    ran = [c for c in report.cases if c.source_itself]
    refused = next((c.source_refuses for c in report.cases if c.source_refuses), "")
    if not ran:
        text = f"The source itself does not run at {report.dtype}: {cell(refused)}"
        return [text, ""] if refused else []
    lines = [
        f"The source's own error at {report.dtype}, weights and inputs, beside that of this model:",
        "",
        "| sizes | output | source: max abs | this model: max abs |",
        "|---|---|---|---|",
    ]
    for case in ran:
        ours = dict(case.outputs)
        for name, d in case.source_itself:
            mine = f"{ours[name].max_abs:.2e}" if name in ours else "-"
            lines.append(f"| {sizes_text(case.sizes)} | {cell(name)} | {d.max_abs:.2e} | {mine} |")
    return [*lines, ""]


def _modules(cases: list[CaseReport]) -> list[str]:
    """Each module call with its worst measures over all sizes; report.json has them for each."""
    calls: dict[tuple[str, int], list[ModuleCheck]] = {}
    for case in cases:
        for check in case.modules:
            calls.setdefault((check.path, check.call), []).append(check)
    if not calls:
        return []
    lines = ["## Modules", ""]
    for case in cases:
        if case.modules:
            first = case.first_divergence
            found = f"first diverges {cell(_where(first))}" if first else "none diverges"
            lines.append(f"- {sizes_text(case.sizes)}: {found}")
    lines += ["", "Worst of all sizes, in the order in which the source's calls end:", ""]
    lines += ["| module | max abs | max rel | cosine | |", "|---|---|---|---|---|"]
    return [*lines, *(_module_row(checks) for checks in calls.values()), ""]


def _module_row(checks: list[ModuleCheck]) -> str:
    found = [c.difference for c in checks if c.difference]
    if not found:
        return f"| {cell(_where(checks[0]))} | {numbers(None)} | skipped: {checks[0].skipped} |"
    worst = Difference(
        max(d.max_abs for d in found),
        max(d.max_rel for d in found),
        min(d.cosine for d in found),
        all(d.ok for d in found),
    )
    skipped = f", skipped {len(checks) - len(found)} times" if len(found) < len(checks) else ""
    return f"| {cell(_where(checks[0]))} | {numbers(worst)} | {verdict(worst)}{skipped} |"


def _quantization(found: dict[str, Any], cases: list[CaseReport]) -> list[str]:
    """What is quantized, what it saves, and how far the outputs are from the source's."""
    kept = found["float_layers"]
    size, plain = found["weights_bytes"], found["float_weights_bytes"]
    lines = [
        "## Quantization",
        "",
        f"{'; '.join(found['summary'])}; {len(kept)} stay float. weights.safetensors has {size} "
        f"bytes; {plain} with float weights.",
        "",
        *(f"- float: {cell(name)} ({cell(reason)})" for name, reason in kept.items()),
        "",
    ]
    if found.get("own"):
        return lines if kept else lines[:-1]
    lines += [
        "How far the outputs are from the source's, which is float:",
        "",
        "| sizes | output | max abs | max rel | cosine |",
        "|---|---|---|---|---|",
    ]
    for case in cases:
        for name, d in case.against_source:
            lines.append(f"| {sizes_text(case.sizes)} | {cell(name)} | {numbers(d)} |")
    return [*lines, ""]
