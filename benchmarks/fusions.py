"""Which rules of the optimizer apply to library models, and what they leave composed.

    python benchmarks/fusions.py [MODEL...] [--route pt] [-o FILE]

Each promised model is saved with random weights as a traced `.pt` and as a `.pt2` with free sizes,
captured and optimized at -O0, -O1 and -O2. The tables tell nodes, emitted lines, nodes that hold a
fused computation at -O1, those that show a computation was left composed, and for each rule how
often it applied and refused, with the reasons (`--explain-fusions` tells them for one model, place
by place). The models come from the file that MLX_TRANSPILE_ZOO names.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import torch
from cpp_latency import ROOT
from zoo_table import zoo

from mlx_transpile.codegen import emit
from mlx_transpile.explain import Row, explain
from mlx_transpile.frontend import capture
from mlx_transpile.ir import Graph
from mlx_transpile.passes import pipeline

sys.path.insert(0, str(ROOT / "tests" / "zoo"))
from zoo_runs import PROMISED, ROUTES, build, save

LEVELS = (0, 1, 2)
# Nodes that hold a whole computation, and nodes that are the middle of one written out.
FUSED = (
    "attention", "rope", "rms_norm", "layer_norm", "group_norm", "instance_norm", "batch_norm",
    "linear", "gelu", "silu", "softplus", "log_softmax",
)  # fmt: skip
COMPOSED = {
    "softmax": "attention written out",
    "rsqrt": "a norm written out",
    "erf": "GELU written out",
    "cos": "a rotary embedding or a position table written out",
    "batch_norm": "a norm that is no layer in the weights (at -O2)",
}


@dataclass
class Found:
    """One model by one way in."""

    model: str
    route: str
    nodes: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    ops: list[Counter[str]] = field(default_factory=list)
    masks: Counter[str] = field(default_factory=Counter)
    rows: list[Row] = field(default_factory=list)


def fusions(models: Sequence[str], routes: Sequence[str]) -> Iterator[Found]:
    source = zoo()
    for name in models:
        for route in routes:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    found = look(source, name, route, Path(folder))
                except Exception as error:
                    print(f"{name}, {route}: {error}", file=sys.stderr, flush=True)
                    continue
            print(name, route, *found.nodes, file=sys.stderr, flush=True)
            yield found


def look(source: ModuleType, name: str, route: str, folder: Path) -> Found:
    path = save(build(source, name, route), route, folder / f"model.{route}")
    found = Found(name, route)
    for level in LEVELS:
        program = capture(str(path)).program
        runs = pipeline.run(program, level)
        graph = program.forward
        found.nodes.append(len(graph.nodes))
        found.ops.append(Counter(n.op for n in graph.nodes))
        if level == 1:
            found.masks = masks(graph)
        found.rows = explain(runs)
        text = emit(program, graph.name).source
        found.lines.append(text.count("\n"))
    return found


def masks(graph: Graph) -> Counter[str]:
    """What the attention nodes are given."""
    kinds: Counter[str] = Counter()
    for node in graph.nodes:
        if node.op == "attention":
            given = [o for o in node.operands[3:] if o is not None]
            kinds["array" if given else "none" if node["causal"] == "none" else "causal"] += 1
    return kinds


# ---- the page

HEAD = """\
# Fusions

Made by `benchmarks/fusions.py`: library models with random weights, narrow and of two layers, from
a traced `.pt` and from a `.pt2` with every dim free. Nodes of a layer are counted at every call.
"""


def page(found: Sequence[Found]) -> str:
    lines = [HEAD, *sizes(found), "", *rules(found), "", *composed(found), ""]
    return "\n".join(lines)


def sizes(found: Sequence[Found]) -> list[str]:
    """Nodes, lines and the fused computations of every model."""
    columns = ["model", "route", "nodes -O0 -O1 -O2", "lines -O0 -O1 -O2", *FUSED, "masks"]
    rows = [
        [
            f.model, f.route, " ".join(map(str, f.nodes)), " ".join(map(str, f.lines)),
            *(before_after(f, op) for op in FUSED),
            ", ".join(f"{kind} {n}" for kind, n in f.masks.items()),
        ]
        for f in found
    ]  # fmt: skip
    text = (
        "Nodes of each kind at -O1, and in parentheses at -O0 where the source had that many "
        "already. *masks*: what attention is given at -O1 (`causal` builds no mask)."
    )
    return ["## Models", "", text, "", *table(columns, rows)]


def before_after(found: Found, op: str) -> str:
    before, after = found.ops[0][op], found.ops[1][op]
    return "" if not (before or after) else f"{after} ({before})" if before else str(after)


def rules(found: Sequence[Found]) -> list[str]:
    """For every rule: models, applied, refused and why."""
    columns = ["pass", "rule", "models", "applied", "refused", "reasons"]
    rows = []
    order = sorted(
        {(r.pass_name, r.rule) for f in found for r in f.rows},
        key=lambda k: ([p.name for p in pipeline.list_passes()].index(k[0]), k[1]),
    )
    for pass_name, rule in order:
        mine = [(f, r) for f in found for r in f.rows if (r.pass_name, r.rule) == (pass_name, rule)]
        applied = sum(r.count for _, r in mine if r.applied)
        models = {(f.model, f.route) for f, r in mine if r.applied}
        reasons: Counter[str] = Counter()
        for _, r in mine:
            if not r.applied:
                reasons[r.reason] += r.count
        text = "; ".join(f"{reason} ({n})" for reason, n in reasons.most_common())
        refused = str(sum(reasons.values()) or "")
        rows.append([pass_name, rule, str(len(models)), str(applied), refused, text])
    text = (
        "At -O2, over all runs of the table above. *models* counts those (by both ways) in which "
        "the rule applied. A rule with no row found its pattern nowhere."
    )
    return ["## Rules", "", text, "", *table(columns, rows)]


def composed(found: Sequence[Found]) -> list[str]:
    """Nodes that show what is left written out."""
    columns = ["model", "route", *COMPOSED]
    rows = []
    for f in found:
        left: Mapping[str, int] = f.ops[2]
        if any(left[op] for op in COMPOSED):
            rows.append([f.model, f.route, *(str(left[op] or "") for op in COMPOSED)])
    text = "What is left at -O2: " + "; ".join(f"`{op}`: {why}" for op, why in COMPOSED.items())
    return ["## Left composed", "", f"{text}.", "", *table(columns, rows)]


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--route", action="append", choices=ROUTES, help="both by default")
    parser.add_argument("-o", type=Path, metavar="FILE", help="write the page there")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    text = page(list(fusions(args.models or PROMISED, args.route or ROUTES)))
    if args.o:
        args.o.write_text(text)
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
