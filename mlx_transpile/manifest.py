"""manifest.json and the plan that `--check` prints: what was captured and what was made of it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .cases import draws_are_seen
from .codegen.emitted import Emitted
from .codegen.lines import MethodLines
from .codegen.packing import plan as stored_weights
from .codegen.project import GENERATOR
from .codegen.quantize import Choice
from .codegen.weights import Rules, stored
from .frontend.source import Captured
from .ir import DType, Graph, Tensor, Value
from .ir import recipe as rcp
from .ir.blocks import all_nodes, waits
from .ir.draws import draws
from .ir.graph import map_structure
from .passes.pipeline import Run

Aliases = Mapping[str, str]


def version() -> str:
    """This package's version."""
    return importlib.metadata.version(GENERATOR)


def manifest(
    captured: Captured,
    emitted: Emitted,
    rules: Rules,
    runs: Sequence[Run],
    options: Mapping[str, Any],
    sources: Mapping[str, Path],
    dtype: DType | None,
    choice: Choice | None = None,
) -> dict[str, Any]:
    """All of the manifest but `files`. Nothing depends on the machine's paths or on the time."""
    graph = captured.program.forward
    order = {r.pass_.name: number for number, r in enumerate(runs)}
    quantized = {f"{layer}.weight" for layer in choice.layers} if choice else set()
    return {
        "generator": {"name": GENERATOR, "version": version()},
        "name": graph.name,
        "source": {
            "format": captured.format,
            **{f"{k}_sha256": sha256(v) for k, v in sources.items()},
        },
        "versions": versions(captured.format),
        "options": dict(options),
        "arguments": [{"name": name, "value": describe(tree)} for name, tree in graph.arguments],
        "inputs": [{"name": v.hint, **_tensor(v)} for v in graph.inputs],
        "outputs": describe(graph.result),
        "symbols": {s.name: {"low": s.low, "high": s.high} for s in graph.symbols()},
        "dims": [asdict(d) for d in captured.dims],
        "baked": dict(captured.baked),
        **_waits(graph),
        **_draws(captured),
        "passes": [{"name": r.pass_.name, "changed": r.changed, "nodes": r.nodes} for r in runs],
        "classes": list(emitted.classes),
        "structure": list(emitted.log),
        "lines": {
            file: [_method(m, order) for m in methods] for file, methods in emitted.lines.items()
        },
        "parameters": {
            name: {
                "dtype": str(stored(param.tensor.dtype, dtype)),
                "shape": list(param.tensor.shape),
                "recipe": str(param.recipe),
                **({"buffer": True} if param.buffer else {}),
                **({"quantized": True} if name in quantized else {}),
            }
            for name, param in emitted.parameters.items()
        },
        "quantization": choice.report() if choice else None,
        **{
            key: list(lines)
            for key in ("integers", "assertions")
            if (lines := captured.details.get(key))
        },
        "aliases": dict(captured.details.get("aliases", {})),
        "facts": {row.target: row.code for row in rules.facts},
        "unused": [row.target for row in rules.unused],
    }


def _method(method: MethodLines, order: Mapping[str, int]) -> dict[str, Any]:
    """A method's lines by their numbers, "12" or "12-14"."""
    return {
        "method": method.method,
        "modules": list(method.modules),
        "lines": {
            str(line.first) if line.first == line.last else f"{line.first}-{line.last}": {
                "source": list(line.source),
                "passes": sorted(line.passes, key=lambda name: order.get(name, -1)),
                "rules": list(line.rules),
                **({"calls": list(line.calls)} if line.calls else {}),
            }
            for line in method.lines
        },
    }


def _waits(graph: Graph) -> dict[str, Any]:
    """Where the host waits for data: branches, loops, sizes that the data decides."""
    nodes = waits(graph)
    rows = [
        {"op": n.op, "module": n.scope.path, "source": n.source.at if n.source else None}
        for n in nodes
    ]
    return {"waits": rows} if rows else {}


def _draws(captured: Captured) -> dict[str, Any]:
    """What draws random numbers, in order; `draw` counts from 0 what the source drew before it."""
    rows = [
        {
            "draw": n["draw"],
            "op": n.op,
            "module": n.scope.path,
            "source": n.source.at if n.source else None,
        }
        for n in draws(captured.program.forward)
    ]
    return {"random": {"draws": rows, "notes": drawing_notes(captured)}} if rows else {}


def drawing_notes(captured: Captured) -> list[str]:
    """What to know of a model that draws random numbers."""
    graph = captured.program.forward
    if not draws(graph):
        return []
    lines = [
        "The model draws random numbers from MLX's generator: mx.random.seed(N) before a call "
        "fixes them. They are not those that the source draws."
    ]
    if draws_are_seen(captured):
        lines.append("For comparisons with the source it is given what the source drew.")
    else:
        lines.append(
            "What the source draws cannot be seen: outputs that depend on it are compared by "
            "shape and type alone."
        )
    return lines + list(captured.details.get("seeds", ()))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions(format: str) -> dict[str, str]:
    """Of what took part in the run."""
    names = ["mlx", "numpy", *(n for n in ("torch", "onnx_ir") if n in sys.modules)]
    return {n: importlib.metadata.version(n.replace("_", "-")) for n in names}


def _tensor(value: Value) -> dict[str, Any]:
    type_ = value.type
    if not isinstance(type_, Tensor):
        return {"dtype": "int", "dims": []}
    return {
        "dtype": str(type_.dtype),
        "dims": [d if isinstance(d, int) else str(d) for d in type_.shape],
    }


def describe(tree: Any) -> Any:
    """A nested argument or result with types for its values."""
    return map_structure(lambda leaf: _tensor(leaf) if isinstance(leaf, Value) else leaf, tree)


# ---- the plan


def plan(captured: Captured, runs: Iterable[Run], aliases: Aliases) -> str:
    """What would be emitted, as text."""
    graph = captured.program.forward
    sections = [
        ("arguments", [f"{name}: {_text(tree)}" for name, tree in graph.arguments]),
        ("result", [_text(graph.result)]),
        ("dims", [_dim(d) for d in captured.dims]),
        ("baked inputs", [f"{name} = {value!r}" for name, value in captured.baked.items()]),
        ("waits for the device", [f"{n.op} in {n.scope.path or 'the root'}" for n in waits(graph)]),
        ("random numbers", [f"{n.op} in {n.scope.path or 'the root'}" for n in draws(graph)]),
        ("ops", _ops(graph)),
        ("parameters", _parameters(graph, aliases)),
        ("integers", [*stored_weights(graph), *captured.details.get("integers", [])]),
        ("assertions that are left out", captured.details.get("assertions", [])),
        (
            "passes that change something",
            [f"{r.pass_.name}: {r.nodes} nodes after it" for r in runs if r.changed],
        ),
    ]
    lines = [f"{graph.name} ({captured.format})"]
    for title, entries in sections:
        lines += [f"{title}:", *(f"  {entry}" for entry in entries)] if entries else []
    return "\n".join(_printable(line) for line in lines) + "\n"


def _text(tree: Any) -> str:
    if isinstance(tree, Value):
        return str(tree.type)
    if isinstance(tree, Mapping):
        return "{" + ", ".join(f"{k}: {_text(v)}" for k, v in tree.items()) + "}"
    if isinstance(tree, tuple | list):
        return "(" + ", ".join(map(_text, tree)) + ")"
    return repr(tree)


def _dim(dim: Any) -> str:
    of = {"free": "free", "tied": "tied", "multiple": "a multiple"}
    what = f"{dim.symbol}, {of[dim.kind]}" if dim.kind in of else f"{dim.size}, {dim.kind}"
    return f"{dim.input}, axis {dim.axis}: {what} ({dim.evidence})"


def _ops(graph: Graph) -> list[str]:
    counts = Counter(node.op for node in all_nodes(graph))
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [
        *(f"{op} x{count}" for op, count in rows),
        f"{len(graph.nodes)} nodes; all of them are supported",
    ]


def _parameters(graph: Graph, aliases: Aliases) -> list[str]:
    sizes = [p.tensor.dtype.numpy.itemsize * _count(p.tensor) for p in graph.params.values()]
    made = [p for p in graph.params.values() if not isinstance(p.recipe, rcp.Read)]
    lines = [f"{len(sizes)} tensors, {sum(sizes) / 1e6:.3g} MB"]
    lines += [f"{p.name}: {p.type} = {p.recipe}" for p in made]
    return lines + [f"{other} is tied to {first}" for other, first in aliases.items()]


def _count(tensor: Tensor) -> int:
    count = 1
    for size in tensor.shape:
        assert isinstance(size, int)  # the verifier refuses parameters of unknown shape
        count *= size
    return count


def _printable(line: str) -> str:
    """Names in models may hold anything; a terminal must not obey them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
