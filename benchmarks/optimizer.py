"""What the optimizer saves, and what it costs.

    python benchmarks/optimizer.py [MODEL...] [--rounds N] [--part PART] [-o FILE]

*times*: each model is transpiled at -O0, -O1 and -O2; one process, on one thread with OpenBLAS
preloaded where it is found, runs the three in turns. *transposes*: those in the forward, before and
after. *growth*: processor time of the passes, and of the whole pipeline, for a Llama of 2, 8 and 32
layers. Library models come from the file that MLX_TRANSPILE_ZOO names; without it there are those
of generated/sources and the published shapes below.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import pickle
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import torch
from cpp_latency import ROOT, Subject, prepared, processor, save_decoder, zoo
from mlx.utils import tree_flatten
from transpile_time import growth, save

from mlx_transpile import transpile
from mlx_transpile.benchmark import single_threaded
from mlx_transpile.cases import captured_sizes
from mlx_transpile.codegen.project import fill_arguments
from mlx_transpile.cpp_build import find_blas
from mlx_transpile.emitted_model import EmittedModel
from mlx_transpile.frontend import capture
from mlx_transpile.frontend.random_inputs import random_inputs
from mlx_transpile.frontend.source import Captured
from mlx_transpile.ir import Graph, Param
from mlx_transpile.ir.clone import clone
from mlx_transpile.ir.verify import verify
from mlx_transpile.passes import pipeline

LEVELS = (0, 1, 2)
# Seconds that all turns of a model take at least, and the turns at the least and at most.
SECONDS, LEAST, MOST = 4.0, 30, 1000
LAYERS = (2, 8, 32)

Build = Callable[[], tuple[torch.nn.Module, tuple[torch.Tensor, ...]]]


# ---- models


def resnet50() -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    from torchvision.models import resnet50

    return resnet50(), (torch.randn(1, 3, 224, 224),)


def swin_t() -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    from torchvision.models import swin_t

    return swin_t(), (torch.randn(1, 3, 224, 224),)


def bert_small() -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    """4 layers of width 512, ids and a mask."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        hidden_size=512, num_hidden_layers=4, num_attention_heads=8, intermediate_size=2048
    )
    config.return_dict = False
    ids = torch.arange(2, 258).reshape(2, 128)
    return BertModel(config), (ids, torch.ones_like(ids))


def whisper_tiny() -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    """The encoder, half a minute of sound."""
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    config = WhisperConfig(
        d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536
    )
    config.return_dict = False
    return WhisperEncoder(config), (torch.randn(1, 80, 3000),)


# Published shapes, so that the host's work per call does not hide the computation.
SHAPES: Mapping[str, Build] = {
    "bert-small": bert_small,
    "resnet50": resnet50,
    "whisper-tiny-encoder": whisper_tiny,
    "swin_t": swin_t,
}
DECODERS = {"decoder-512": (512, {"B": 1, "L": 128})}
# Sizes at which a library model is run, beside batch 1.
SIZES: Mapping[str, Mapping[str, int]] = {
    "llama": {"L": 64},
    "bert": {"L": 64},
    "resnet": {"H": 224, "W": 224},
}
TIMED = ("llama", "bert", "resnet", "whisper_encoder", "swin", *DECODERS, *SHAPES)
TRANSPOSED = (
    "resnet", "mobilenet_v3", "unet_diffusers", "swin", "wake_embedding", "whisper_encoder",
    "llama", "bert", *SHAPES,
)  # fmt: skip


def subject(name: str, folder: Path) -> Subject:
    """A file of the model, and the sizes to run it at."""
    path = folder / "model.pt"
    if name in DECODERS:
        width, sizes = DECODERS[name]
        return Subject(save_decoder(width, path), sizes)
    if name in SHAPES:
        module, inputs = SHAPES[name]()
        torch.manual_seed(0)
        with torch.no_grad():
            torch.jit.trace(module.eval(), inputs, strict=False, check_trace=False).save(str(path))
        return Subject(path, {"B": 1})
    sizes = {"B": 1, **SIZES.get(name, {})}
    source = zoo()
    if source is None:
        return Subject(ROOT / "generated" / "sources" / f"{name}.pt", sizes)
    import zoo_runs

    return Subject(zoo_runs.save(zoo_runs.build(source, name, "pt"), "pt", path), sizes)


def inputs_of(captured: Captured, sizes: Mapping[str, int]) -> list[np.ndarray]:
    """Inputs at the sizes, where the model leaves them free."""
    graph = captured.program.forward
    free = {s.name for s in graph.symbols()}
    chosen = {**captured_sizes(captured), **{k: v for k, v in sizes.items() if k in free}}
    return random_inputs(graph, chosen, np.random.default_rng(0))


# ---- times of the emitted models


@dataclass
class Timed:
    """One model: milliseconds of each level's turns (a row is a level), and what was emitted."""

    model: str
    inputs: str
    ms: np.ndarray
    differences: list[float]
    nodes: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


def measure(name: str, rounds: int | None, blas: str | None, folder: Path) -> Timed:
    chosen = subject(name, folder)
    folders = [folder / f"O{level}" for level in LEVELS]
    nodes, lines = [], []
    for level, out in zip(LEVELS, folders, strict=True):
        transpile(chosen.source, out, level=level)
        nodes.append(len(optimized(chosen.source, level).nodes))
        lines.append((out / "model.py").read_text().count("\n"))
    captured = capture(str(chosen.source))
    inputs = inputs_of(captured, chosen.sizes)
    arguments = pickle.dumps(fill_arguments(captured.program.forward.arguments, inputs))
    done = subprocess.run(
        [sys.executable, __file__, "--serve", str(rounds or 0), *map(str, folders)],
        input=arguments, stdout=subprocess.PIPE, env=single_threaded(blas), check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    shapes = " ".join("x".join(map(str, a.shape)) or "()" for a in inputs)
    return Timed(name, shapes, np.array(found["ms"]), found["differences"], nodes, lines)


def optimized(source: Path, level: int) -> Graph:
    """The graph after the passes of a level."""
    program = capture(str(source)).program
    pipeline.run(program, level)
    return program.forward


def serve(rounds: int, folders: Sequence[str]) -> None:
    """The process that runs the models: A B C A B C, what else the machine does falls on all."""
    arguments = pickle.loads(sys.stdin.buffer.read())
    calls = [prepared(EmittedModel(Path(f)), arguments) for f in folders]
    outputs = [[np.array(v) for _, v in tree_flatten(call())] for call in calls]
    start = time.perf_counter()
    for call in calls:
        mx.eval(call())
    turn = time.perf_counter() - start
    rounds = rounds or min(MOST, max(LEAST, int(SECONDS / turn)))
    gc.disable()
    ms = [[once(call) for call in calls] for _ in range(rounds)]
    print(json.dumps({
        "ms": np.array(ms).T.tolist(),
        "differences": [difference(outputs[0], o) for o in outputs],
    }))  # fmt: skip


def once(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    mx.eval(call())
    return (time.perf_counter() - start) * 1000


def difference(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> float:
    """The largest, relative to the largest magnitude of its output."""
    return max(
        float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30))
        for a, b in zip(ours, theirs, strict=True)
        if a.size
    )


def times_page(found: Sequence[Timed]) -> list[str]:
    columns = (
        "model", "inputs", "nodes -O0 -O1 -O2", "lines -O0 -O1 -O2", "-O0 ms", "-O1 ms", "-O2 ms",
        "10% -O0", "10% -O1", "10% -O2", "-O2 / -O0", "-O2 / -O1", "-O1 / -O0", "difference",
    )  # fmt: skip
    return ["## Time of the emitted model", "", TIMES, "", *table(columns, map(times_cells, found))]


TIMES = """\
Milliseconds of a call of the emitted Python until its outputs are evaluated: the median of all
turns, then the 10th percentile, which what else the machine does disturbs the least. The ratios are
of the 10th percentiles: below 1 the higher level is faster. *difference* is the largest between the
outputs of the levels and those of -O0, relative to the largest magnitude. *lines* are those of
`model.py`. The models named like a file of the zoo are narrow (width 64), so that MLX's and
Python's work per op is most of a call; the others have published shapes."""


def times_cells(row: Timed) -> list[str]:
    low = np.percentile(row.ms, 10, axis=1)
    middle = np.median(row.ms, axis=1)
    return [
        row.model, row.inputs, " ".join(map(str, row.nodes)), " ".join(map(str, row.lines)),
        *(f"{ms:.2f}" for ms in (*middle, *low)),
        f"**{low[2] / low[0]:.2f}**", f"**{low[2] / low[1]:.2f}**", f"{low[1] / low[0]:.2f}",
        f"{max(row.differences):.0e}",
    ]  # fmt: skip


# ---- transposes


def transposes_of(graph: Graph) -> dict[str, list[str]]:
    """Where the forward transposes activations, and where parameters."""
    found: dict[str, list[str]] = {"activations": [], "parameters": []}
    for node in graph.nodes:
        if node.op == "transpose":
            kind = "parameters" if isinstance(node.operands[0], Param) else "activations"
            found[kind].append(node.scope.path or "the root")
    return found


def transposes(name: str, folder: Path) -> list[str]:
    """A row of the table."""
    source = subject(name, folder).source
    counts = [transposes_of(optimized(source, level)) for level in LEVELS]
    activations = [str(len(c["activations"])) for c in counts]
    parameters = [str(len(c["parameters"])) for c in counts]
    places: dict[str, int] = {}
    for path in counts[-1]["activations"]:
        place = ".".join("*" if part.isdigit() else part for part in path.split("."))
        places[place] = places.get(place, 0) + 1
    where = ", ".join(f"{place} ({n})" if n > 1 else place for place, n in places.items())
    return [name, *activations, *parameters, where]


TRANSPOSES = """\
Transpose nodes of the graph that is emitted, every call of a layer counted: of activations and of
parameters (a weight that is turned at every call). Places are those that are left at -O2; heads of
attention that go before the length, and back, are transposes that meaning needs."""


def transposes_page(rows: Sequence[Sequence[str]]) -> list[str]:
    columns = (
        "model", "-O0", "-O1", "-O2", "parameters -O0", "-O1", "-O2", "where (`*`: each layer)",
    )  # fmt: skip
    return ["## Transposes in the forward", "", TRANSPOSES, "", *table(columns, rows)]


# ---- time of the optimizer


@dataclass
class Cost:
    """Processor seconds at one depth: the passes, the whole pipeline; milliseconds by pass."""

    nodes: int
    passes: float
    whole: float
    by_pass: dict[str, float]


def cost(source: Path, level: int, repeat: int, out: Path) -> Cost:
    """The best of several runs of everything."""
    passes, whole, by_pass, nodes = [], [], [], 0
    for _ in range(repeat):
        starts: dict[str, float] = {}
        transpile(
            source, out, level=level,
            progress=lambda s, *_, starts=starts: starts.setdefault(s, time.process_time()),
        )  # fmt: skip
        passes.append(starts["emitting"] - starts["optimizing"])
        whole.append(starts["done"] - starts["reading"])
        graph = capture(str(source)).program.forward
        nodes = len(graph.nodes)
        by_pass.append(profile(graph, level))
    best = {name: min(b[name] for b in by_pass) for name in by_pass[0]}
    return Cost(nodes, min(passes), min(whole), best)


def profile(graph: Graph, level: int) -> dict[str, float]:
    """Milliseconds of processor time of each pass, and what the pass manager adds."""
    gc.collect()
    gc.disable()
    try:
        found = {"(a copy for the reproducer)": cpu_ms(lambda: clone(graph)), "(verify)": 0.0}
        for pass_ in pipeline.list_passes(level):
            done: list[pipeline.Run] = []
            found[pass_.name] = cpu_ms(lambda: done.append(pipeline.apply(graph, pass_)))  # noqa: B023
            if done[0].changed:
                found["(verify)"] += cpu_ms(lambda: verify(graph))
    finally:
        gc.enable()
    return found


def cpu_ms(function: Callable[[], Any]) -> float:
    start = time.process_time()
    function()
    return (time.process_time() - start) * 1000


def growth_page(level: int, repeat: int, folder: Path) -> list[str]:
    sources = {n: save(n, "trace", folder) for n in LAYERS}
    transpile(sources[LAYERS[0]], folder / "warm-up", level=level)
    costs = {n: cost(path, level, repeat, folder / f"out{n}") for n, path in sources.items()}
    a, b, c = LAYERS
    columns = ("", *(f"{n} layers" for n in LAYERS), f"(t{c} - t{a}) / (t{b} - t{a})")
    rows = [["nodes captured", *(str(x.nodes) for x in costs.values()), ""]]
    for label, key in (("passes, s", "passes"), ("whole transpile, s", "whole")):
        seconds = {n: float(getattr(x, key)) for n, x in costs.items()}
        rows.append([label, *(f"{s:.3f}" for s in seconds.values()), f"**{growth(seconds):.2f}**"])
    slowest = sorted(costs[c].by_pass, key=lambda p: -costs[c].by_pass[p])
    for name in slowest[:8]:
        ms = {n: x.by_pass[name] for n, x in costs.items()}
        rows.append([f"{name}, ms", *(f"{t:.1f}" for t in ms.values()), f"{growth(ms):.2f}"])
    return [f"### -O{level}", "", *table(columns, rows), ""]


GROWTH = """\
The Llama of `tests/models` from a trace: seconds of processor time, the best of {repeat} runs.
Linear in the depth is {linear:.2f}, at most 5.5 is wanted. Below are the slowest at 32 layers, each
timed alone; the graph is verified after every pass that changed it and copied once, so that a
failure can be shown again."""


# ---- the page


def table(columns: Sequence[str], rows: Any) -> list[str]:
    return [
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def head(blas: str | None) -> list[str]:
    versions = (
        f"torch {torch.__version__.partition('+')[0]}, MLX {mx.__version__}, "
        f"Python {platform.python_version()}"
    )
    loaded = f"{Path(blas).name} preloaded" if blas else "no OpenBLAS found"
    made = f"Made by `benchmarks/optimizer.py`: {versions};"
    machine = f"{processor()}, {os.cpu_count()} cores, one thread, {loaded}."
    return ["# The optimizer", "", made, machine, "Each model from a traced `.pt`.", ""]


def each(names: Sequence[str], function: Callable[[str, Path], Any]) -> Iterator[Any]:
    """The function of every model in a folder of its own; what fails is told and left out."""
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = function(name, Path(folder))
            except Exception as error:
                print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                continue
        print(" | ".join(found if isinstance(found, list) else times_cells(found)),
              file=sys.stderr, flush=True)  # fmt: skip
        yield found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--rounds", type=int, help="turns of each level")
    parser.add_argument("--part", action="append", choices=["times", "transposes", "growth"])
    parser.add_argument("--repeat", type=int, default=3, help="runs for the time of the optimizer")
    parser.add_argument("-o", type=Path, metavar="FILE", help="write the page there")
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(int(args.serve[0]), args.serve[1:])
        return 0
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    parts = args.part or ["times", "transposes", "growth"]
    blas = find_blas()
    lines = head(blas)
    if "times" in parts:
        run = lambda name, folder: measure(name, args.rounds, blas, folder)  # noqa: E731
        lines += [*times_page(list(each(args.models or TIMED, run))), ""]
    if "transposes" in parts:
        lines += [*transposes_page(list(each(args.models or TRANSPOSED, transposes))), ""]
    if "growth" in parts:
        linear = (LAYERS[2] - LAYERS[0]) / (LAYERS[1] - LAYERS[0])
        text = GROWTH.format(repeat=args.repeat, linear=linear)
        lines += ["## Time of the optimizer", "", text, ""]
        for level in LEVELS[1:]:
            with tempfile.TemporaryDirectory() as folder:
                lines += growth_page(level, args.repeat, Path(folder))
    text = "\n".join(lines).rstrip() + "\n"
    if args.o:
        args.o.write_text(text)
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
