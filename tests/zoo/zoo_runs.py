"""Library models transpiled from saved files and compared with the modules that they came from.

Shared by the tests beside this file and by benchmarks/zoo_table.py. The models come from a file
outside of the repository (see the `zoo` fixture).
"""

from __future__ import annotations

import ast
import inspect
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from mlx_transpile import transpile
from mlx_transpile.emitted_model import EmittedModel
from mlx_transpile.frontend.draws import recorded
from mlx_transpile.ir.dims import evaluate, parse_dim, symbols
from mlx_transpile.replay import replayed

BATCHES = (1, 3, 17)
# Of each length, the first two that the source runs at: small ones, or near the captured size.
LENGTHS: tuple[Callable[[int], int], ...] = (
    lambda size: 1,
    lambda size: 9,
    lambda size: size,
    lambda size: size + size // 2,
    lambda size: 2 * size,
)

# The models that the project promises, and the ways in.
PROMISED = (
    "llama", "llama32", "qwen3", "gpt2", "bert", "albert", "vit", "vit_hf", "resnet", "mobilenet_v3",
    "lstm", "gru", "nn_mha", "nn_transformer", "whisper_encoder", "nllb_m2m100", "opus_marian", "t5",
    "clip", "wake_melspec", "wake_embedding", "wake_classifier_dnn", "wake_classifier_rnn",
)  # fmt: skip
FURTHER = (
    "gemma2", "hunyuan_mt", "madlad_t5", "whisper_large_v3", "whisper_turbo", "mimi_encode",
    "mimi_encode_p", "mimi_decode", "csm_backbone", "csm_depth", "kokoro_full_conv_stft",
    "kokoro_text_encoder", "kokoro_f0n", "kokoro_decoder", "kokoro_decoder_conv_stft",
    "kokoro_front_p", "f5_dit", "vocos", "ecapa_tdnn", "swin", "unet_diffusers",
)  # fmt: skip
ROUTES = ("pt", "pt2")
# torch.export fixes the length of recurrent layers in a .pt2; given the module, it stays free.
# It does not trace packed sequences at all.
MODULE_ROUTE = ("lstm", "gru", "wake_classifier_rnn", "kokoro_text_encoder")


class Tensors(nn.Module):
    """Traces hold no output in which tensors and other objects are mixed: the tensors alone."""

    def __init__(self, model: nn.Module, keys: tuple[str, ...]):
        super().__init__()
        self.model, self.keys = model, keys

    def forward(self, input_ids: Any, pixel_values: Any, attention_mask: Any) -> Any:
        out = self.model(
            input_ids=input_ids, pixel_values=pixel_values, attention_mask=attention_mask
        )
        return tuple(out[key] for key in self.keys)


# What a trace needs around a model.
FOR_TRACES: Mapping[str, Callable[[nn.Module], nn.Module]] = {
    "clip": lambda m: Tensors(m, ("logits_per_image", "logits_per_text", "text_embeds", "image_embeds")),
}  # fmt: skip


def _even(self: Any, signal: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The spectrum's magnitude, and its phase without the sign."""
    spectrum = torch.stft(
        signal, self.filter_length, self.hop_length, self.win_length,
        window=self.window.to(signal.device), return_complex=True,
    )  # fmt: skip
    return torch.abs(spectrum), torch.angle(spectrum).abs()


@contextmanager
def steady(name: str) -> Iterator[None]:
    """What rounding decides in a source is taken out of it while open.

    Frames that mirror themselves, as those at the ends of a signal do, have real spectra: their
    phase is pi or -pi by the last bit of an imaginary part, and differs with every FFT.
    """
    if name != "kokoro_decoder":
        yield
        return
    import kokoro.istftnet

    with mock.patch.object(kokoro.istftnet.TorchSTFT, "transform", _even):
        yield


@dataclass
class Source:
    """A module with one example, and the names of its inputs in the order of its signature."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    dynamic: Any = None  # {axis: label} for each input, by position or by name
    traced: Any = None  # what a TorchScript archive of it holds

    @property
    def free(self) -> list[str]:
        """The axes that the model's author calls free, as `x[1] = 9`."""
        known = (
            self.dynamic
            if isinstance(self.dynamic, Mapping)
            else dict(zip(self.inputs, self.dynamic or ()))
        )
        return [
            f"{name}[{axis}] = {self.inputs[name].shape[axis]}"
            for name, axes in known.items()
            for axis in axes
        ]

    @property
    def inputs(self) -> dict[str, torch.Tensor]:
        names = list(inspect.signature(self.module.forward).parameters)
        return {**dict(zip(names, self.args)), **self.kwargs}


@dataclass
class Row:
    """What one run showed; `failure` says why there is no more."""

    model: str
    route: str
    max_abs: float = 0.0
    max_rel: float = 0.0
    magnitude: float = 0.0
    sizes: list[dict[str, int]] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)
    fixed: dict[str, str] = field(default_factory=dict)
    dynamic: list[str] = field(default_factory=list)
    classes: int = 0
    lines: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    failure: str = ""


def build(zoo: ModuleType, name: str, route: str) -> Source:
    """The model with weights that let a comparison mean something."""
    module, args, kwargs, dynamic = zoo.ZOO[name]()
    vary_constants(module)
    if route == "pt" and name in FOR_TRACES:
        module = FOR_TRACES[name](module)
    return Source(module.eval(), tuple(args), dict(kwargs), dynamic)


def vary_constants(module: nn.Module, seed: int = 0) -> None:
    """Noise for parameters and stored statistics that are the same number everywhere.

    Freshly built models have scales of one and shifts of zero: whoever drops them, or swaps
    them, computes the same. Whole heads may be zero.
    """
    generator = torch.Generator().manual_seed(seed)
    stored = module.state_dict()
    running = {n: b for n, b in module.named_buffers() if n in stored and b.is_floating_point()}
    with torch.no_grad():
        for name, tensor in {**dict(module.named_parameters()), **running}.items():
            if tensor.numel() < 2 or not bool((tensor == tensor.reshape(-1)[0]).all()):
                continue
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                tensor.mul_(1 + 0.3 * noise.tanh())
            else:
                tensor.add_(0.1 * noise)


def save(source: Source, route: str, path: Path) -> Path:
    """The model as a TorchScript archive or a .pt2 with every dim automatic."""
    with torch.no_grad():
        if route == "pt":
            given: dict[str, Any] = (
                {"example_kwarg_inputs": source.kwargs}
                if source.kwargs
                else {"example_inputs": source.args}
            )
            source.traced = torch.jit.trace(source.module, strict=False, check_trace=False, **given)
            source.traced.save(str(path))
        else:
            torch.export.save(export(source), path)
    return path


def export(source: Source) -> torch.export.ExportedProgram:
    shapes = torch.export.ShapesCollection()
    for tensor in torch.utils._pytree.tree_leaves((source.args, source.kwargs)):
        shapes[tensor] = dict.fromkeys(range(tensor.dim()), torch.export.Dim.AUTO)
    dims = shapes.dynamic_shapes(source.module, source.args, source.kwargs)
    return torch.export.export(
        source.module, source.args, source.kwargs, dynamic_shapes=dims, strict=False
    )


def run(zoo: ModuleType, name: str, route: str, folder: Path) -> Row:
    """Save, transpile, import what came out, and compare at several sizes."""
    source = build(zoo, name, route)
    with steady(name):
        return _run(source, Row(name, route, dynamic=source.free), folder)


def _run(source: Source, row: Row, folder: Path) -> Row:
    out, route = folder / "out", row.route
    if route == "module":
        row.seconds = timed(source.module, out, example_inputs=(source.args, source.kwargs))
    else:
        row.seconds = timed(save(source, route, folder / f"model.{route}"), out)
    describe(row, out)
    model = EmittedModel(out)
    drawn = [row["draw"] for row in manifest(out).get("random", {"draws": ()})["draws"]]
    try:
        for sizes, inputs, expected, found in cases(source, row, manifest(out)):
            with replayed([found[number] for number in drawn]):
                compare(row, model.model, inputs, expected)
            row.sizes.append(sizes)
    finally:
        model.close()
    return row


def timed(source: Any, out: Path, **options: Any) -> dict[str, float]:
    """Seconds of processor time of each stage of a run."""
    starts: dict[str, float] = {}
    transpile(
        source, out, progress=lambda s, *_: starts.setdefault(s, time.process_time()), **options
    )
    reading, optimizing, emitting, done = (
        starts[s] for s in ("reading", "optimizing", "emitting", "done")
    )
    return {
        "capture": optimizing - reading,
        "passes": emitting - optimizing,
        "emit": done - emitting,
        "total": done - reading,
    }


def manifest(out: Path) -> dict[str, Any]:
    return json.loads((out / "manifest.json").read_text())


def describe(row: Row, out: Path) -> None:
    found = manifest(out)
    row.symbols = list(found["symbols"])
    row.fixed = {
        f"{d['input']}[{d['axis']}] = {d['size']}": d["evidence"]
        for d in found["dims"]
        if d["kind"] == "static"
    }
    row.classes = len(found["classes"])
    row.lines = (out / "model.py").read_text().count("\n")


# ---- inputs at other sizes

Case = tuple[dict[str, int], dict[str, torch.Tensor], list[np.ndarray], list[np.ndarray]]


def cases(source: Source, row: Row, found: dict[str, Any]) -> Iterator[Case]:
    """Inputs, the source's outputs and what it drew, at every batch and two lengths."""
    dims = {a["name"]: a["value"]["dims"] for a in found["arguments"]}
    for batch in BATCHES if "B" in row.symbols else (1,):
        lengths = 0
        seen: list[dict[str, int]] = []
        for length in LENGTHS:
            sizes = sizes_at(source, dims, found["symbols"], batch, length)
            if lengths == 2 or sizes is None or sizes in seen:
                continue
            seen.append(sizes)
            inputs = inputs_at(source, dims, sizes)
            try:
                with recorded() as drawn:
                    result = run_source(source.module, inputs)
            except (RuntimeError, ValueError, IndexError, AssertionError):
                continue  # the source does not run at this size
            if took_another_branch(source, inputs, result):
                continue
            lengths += 1
            yield sizes, inputs, arrays(result), drawn


def run_source(module: Any, inputs: Mapping[str, torch.Tensor]) -> Any:
    torch.manual_seed(0)
    with torch.no_grad():
        return module(**{k: v.clone() for k, v in inputs.items()})


def took_another_branch(source: Source, inputs: Mapping[str, torch.Tensor], result: Any) -> bool:
    """Whether a trace computes something else than its module: Python chose by these sizes."""
    if source.traced is None:
        return False
    try:
        found = arrays(run_source(source.traced, inputs))
    except RuntimeError:
        return False
    scales = [max(1.0, float(np.abs(a).max(initial=0))) for a in arrays(result)]
    return any(
        a.shape != b.shape or np.abs(a.astype(np.float64) - b).max(initial=0) > 1e-3 * scale
        for a, b, scale in zip(found, arrays(result), scales)
    )


def sizes_at(
    source: Source,
    dims: Mapping[str, list[Any]],
    symbols: Mapping[str, Mapping[str, Any]],
    batch: int,
    length: Callable[[int], int],
) -> dict[str, int] | None:
    """A size for each symbol, lengths apart from each other; None where one is out of bounds."""
    captured = {
        name: at
        for argument, shape in dims.items()
        for dim, size in zip(shape, source.inputs[argument].shape)
        for name, at in captured_size(dim, size).items()
    }
    sizes = {}
    for i, (name, bounds) in enumerate(symbols.items()):
        wanted = length(captured[name])
        size = batch if name == "B" else wanted + i * (wanted > 1)
        sizes[name] = max(size, bounds["low"]) if name == "B" else size
        if not bounds["low"] <= sizes[name] <= (bounds["high"] or sizes[name]):
            return None
    return sizes


def captured_size(dim: int | str, size: int) -> dict[str, int]:
    """What the symbol of a dim is where the dim is `size`: 4 for `2*H` and 8."""
    known = symbols(parse_dim(str(dim), {}))
    names = [s.name for s in known]
    if len(names) != 1:
        return {}
    fitting = (k for k in range(size + 1) if size_of(dim, {names[0]: k}) == size)
    return {names[0]: next(fitting)}


def inputs_at(
    source: Source, dims: Mapping[str, list[Any]], sizes: Mapping[str, int]
) -> dict[str, torch.Tensor]:
    """Random inputs: ids within the range of the example's, masks that end somewhere."""
    generator = torch.Generator().manual_seed(sum(sizes.values()))
    made = {}
    for name, example in source.inputs.items():
        shape = [size_of(d, sizes) for d in dims[name]]
        if "mask" in name:
            ends = torch.randint(1, shape[-1] + 1, (*shape[:-1], 1), generator=generator)
            made[name] = (torch.arange(shape[-1]) < ends).to(example.dtype)
        elif example.dtype.is_floating_point:
            made[name] = torch.randn(shape, generator=generator).to(example.dtype)
        else:
            low, high = int(example.min()), int(example.max())
            made[name] = torch.randint(low, high + 1, shape, generator=generator).to(example.dtype)
    return made


def size_of(dim: int | str, sizes: Mapping[str, int]) -> int:
    """The size at which a dim of the manifest stands: `L`, `2*L`."""
    return evaluate(parse_dim(ast.parse(str(dim), mode="eval").body, {}), sizes)


# ---- comparison


def arrays(result: Any) -> list[np.ndarray]:
    """The tensors of a result, in order; None and other objects are left out."""
    if isinstance(result, torch.Tensor):
        return [result.detach().numpy()]
    if isinstance(result, Mapping):
        result = list(result.values())
    return [a for r in result for a in arrays(r)] if isinstance(result, list | tuple) else []


def compare(
    row: Row, model: Any, inputs: Mapping[str, torch.Tensor], expected: list[np.ndarray]
) -> None:
    """Run the emitted model and keep the largest differences."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    result = model(*(mx.array(v.numpy()) for v in inputs.values()))
    found = [np.array(value) for _, value in tree_flatten(result)]
    if [f.shape for f in found] != [e.shape for e in expected]:
        raise ValueError(f"shapes {[f.shape for f in found]}, not {[e.shape for e in expected]}")
    for ours, theirs in zip(found, expected):
        ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
        error, magnitude = np.abs(ours - theirs).max(), np.abs(theirs).max()
        if not np.isfinite(error):
            raise ValueError("the outputs are not finite")
        row.max_abs = max(row.max_abs, float(error))
        row.max_rel = max(row.max_rel, float(error / magnitude) if magnitude else float(error))
        row.magnitude = max(row.magnitude, float(magnitude))
