"""Library models exported to ONNX by both of torch's exporters, transpiled and run beside the file.

Shared by the tests beside this file and by benchmarks/onnx_table.py.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import torch
from torch import nn
from zoo_runs import Source, build

from mlx_transpile import transpile

MODELS = (
    "resnet", "mobilenet_v3", "vit", "swin", "bert", "gpt2", "llama", "t5", "whisper_encoder",
    "wake_melspec", "wake_embedding", "wake_classifier_dnn", "wake_classifier_rnn", "lstm", "gru",
    "unet_diffusers",
)  # fmt: skip
EXPORTERS = ("dynamo", "legacy")
# Computations whose names in the emitted source say that they were recognised.
FUSED: Mapping[str, str] = {
    "attention": r"scaled_dot_product_attention\(",
    "causal": r"mask=\"causal\"",
    "rope": r"nn\.RoPE\(|fast\.rope\(",
    "rms_norm": r"nn\.RMSNorm\(|fast\.rms_norm\(",
    "layer_norm": r"nn\.LayerNorm\(|fast\.layer_norm\(",
    "group_norm": r"nn\.GroupNorm\(",
    "batch_norm": r"nn\.BatchNorm\(",
    "linear": r"nn\.Linear\(",
    "conv": r"nn\.Conv\dd\(",
    "activation": r"nn\.(?:gelu|silu|hardswish|relu)\w*\(",
}


@dataclass
class OnnxRow:
    """What one model by one exporter showed; `failure` says why there is no more."""

    model: str
    exporter: str
    max_abs: float = 0.0
    max_rel: float = 0.0
    sizes: dict[str, list[int]] = field(default_factory=dict)
    free: list[str] = field(default_factory=list)  # axes that the author calls free
    fixed: list[str] = field(default_factory=list)  # those of them that do not stay so
    classes: list[str] = field(default_factory=list)
    module_types: list[str] = field(default_factory=list)
    tensors: int = 0
    in_file: int = 0  # tensors that the file has under the name of the checkpoint
    lost: list[str] = field(default_factory=list)  # tensors under another name
    lines: int = 0
    transposes: int = 0
    fused: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    cpp: float | None = None
    failure: str = ""


def run(zoo: ModuleType, name: str, exporter: str, folder: Path, cpp: bool = False) -> OnnxRow:
    """Export, transpile with validation against onnxruntime, and read what came out."""
    source = build(zoo, name, "pt2")
    row = OnnxRow(name, exporter, free=source.free, module_types=module_types(source.module))
    path, out = folder / "model.onnx", folder / "out"
    export(source, exporter, path)
    start = time.process_time()
    emit = ("python", "cpp") if cpp else ("python",)
    result = transpile(path, out, emit=emit, validate=True)
    row.seconds = time.process_time() - start
    describe(row, source, path, out)
    assert result.report is not None
    if not result.ok:
        raise ValueError(f"the emitted model differs: {differences(result.report)}")
    return row


# ---- export

# The newer exporter has no translation for the largest element of all.
TRANSLATIONS: Mapping[str, Any] = {"amax.default": lambda op: lambda x: op.ReduceMax(x, keepdims=0)}


def export(source: Source, exporter: str, path: Path) -> None:
    """The model as an ONNX file, with the axes free that its author calls free."""
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        by_dynamo(source, path) if exporter == "dynamo" else by_legacy(source, path)


def by_dynamo(source: Source, path: Path) -> None:
    """Without gradients the exporter would fix the lengths of recurrent layers."""
    import onnxscript

    axes = list(labels(source).values())
    table = {
        getattr(getattr(torch.ops.aten, name.partition(".")[0]), name.partition(".")[2]): make(
            onnxscript.opset18
        )
        for name, make in TRANSLATIONS.items()
    }
    shapes: Any = labels(source) if source.kwargs else tuple(axes)
    with torch.enable_grad():
        torch.onnx.export(
            source.module, source.args, path, kwargs=source.kwargs or None, dynamo=True,
            dynamic_shapes=shapes, external_data=False, verbose=False,
            custom_translation_table=table,
        )  # fmt: skip


def by_legacy(source: Source, path: Path) -> None:
    """torch's own fast path of nn.MultiheadAttention is an operator that this exporter has not."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with given_inputs_alone(source), torch.no_grad():
            torch.onnx.export(
                source.module, tuple(source.inputs.values()), path, dynamo=False,
                input_names=list(source.inputs), dynamic_axes=labels(source),
            )  # fmt: skip
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextlib.contextmanager
def given_inputs_alone(source: Source) -> Iterator[None]:
    """The exporter passes all arguments of `forward`, in order: its defaults would be inputs."""
    names, forward = list(source.inputs), source.module.forward

    def given(*args: Any) -> Any:
        return forward(**dict(zip(names, args, strict=True)))

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in names]
    given.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    source.module.forward = given
    try:
        yield
    finally:
        del source.module.forward


def labels(source: Source) -> dict[str, dict[int, str]]:
    """{axis: label} of every input that is given, in the order of the signature."""
    known = source.dynamic
    if not isinstance(known, Mapping):
        known = dict(zip(source.inputs, known or (), strict=False))
    return {name: dict(known.get(name, {})) for name in source.inputs}


# ---- what came out


def module_types(module: nn.Module) -> list[str]:
    """Classes of modules that a reader of the source wrote or would write: no layers of torch."""
    found = {type(m) for m in module.modules()}
    return sorted(t.__name__ for t in found if not t.__module__.startswith("torch.nn."))


def describe(row: OnnxRow, source: Source, path: Path, out: Path) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    report = json.loads((out / "report.json").read_text())
    text = (out / "model.py").read_text()
    row.classes = list(manifest["classes"])
    row.lines = text.count("\n")
    row.transposes = len(re.findall(r"\.(?:transpose|swapaxes|moveaxis)\(|\.T\b", text))
    row.fused = {k: n for k, p in FUSED.items() if (n := len(re.findall(p, text)))}
    static = {
        f"{d['input']}[{d['axis']}] = {d['size']}": d["evidence"]
        for d in manifest["dims"]
        if d["kind"] == "static"
    }
    row.fixed = [f"{dim}: {static[dim]}" for dim in row.free if dim in static]
    names = stored_names(source.module)
    row.lost = sorted(names - set(manifest["parameters"]))
    row.tensors, row.in_file = len(names), len(names & initializers(path))
    row.sizes = report["sizes"]
    outputs = [output for case in report["cases"] for output in case["outputs"]]
    row.max_abs = max((o["max_abs"] for o in outputs), default=0.0)
    row.max_rel = max((o["max_rel"] for o in outputs), default=0.0)
    if "cpp" in report:
        row.cpp = cpp_error(report["cpp"])


def initializers(path: Path) -> set[str]:
    return {tensor.name for tensor in onnx.load(path, load_external_data=False).graph.initializer}


def stored_names(module: nn.Module) -> set[str]:
    """Names of a checkpoint's tensors, each tensor once; counters of training are none."""
    first: dict[int, str] = {}
    for name, tensor in module.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            first.setdefault(tensor.data_ptr(), name)
    return set(first.values())


def cpp_error(report: Mapping[str, Any]) -> float:
    """The largest relative difference of the C++ model from the Python one."""
    if not report["passed"]:
        reasons = [report["not_built"], report["error"], *(c["error"] for c in report["cases"])]
        raise ValueError(f"C++: {next((r for r in reasons if r), 'outputs differ')}")
    found = [o["max_rel"] for case in report["cases"] for o in case["against_python"]]
    return max(found, default=0.0)


def differences(report: Any) -> str:
    """Where the emitted model differs, in a line."""
    for case in report.cases:
        bad = [f"{name}: {d.max_abs:.1e}" for name, d in case.outputs if not d.ok]
        if case.error or bad:
            return f"at {case.sizes}: {case.error or ', '.join(bad)}"
    return "no size runs"
