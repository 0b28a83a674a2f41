"""The levels of the optimizer on a GPU, and a hand-written Llama beside them.

    python benchmarks/optimizer_gpu.py --emit FOLDER             (needs torch and transformers)
    python benchmarks/optimizer_gpu.py FOLDER [--mlx-lm PATH] [--rounds N] [-o FILE]

The first command writes a Llama of 1B shape and a ResNet-50 at -O0, -O1 and -O2, without weights.
The second needs MLX alone: it gives them random weights and runs them in turns. PATH is the folder
that holds the package mlx_lm, for its Llama. With the names that the emitted -O0 and -O1 share
with it, all three get the same weights, and their outputs are compared.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import types
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from cpp_gpu import count_ops, import_model
from mlx.utils import tree_flatten

LEVELS = (0, 1, 2)
TURN = 0.4  # seconds of one model before the next has its turn
# The published shape of Llama 3.2 1B; the head has weights of its own.
LLAMA = {
    "hidden_size": 2048, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
    "intermediate_size": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
}  # fmt: skip
# What is small while the model is captured, and what it stands for.
CAPTURED = {"vocab_size": 1000, "num_hidden_layers": 2}
WHOLE = {"vocab_size": 128256, "num_hidden_layers": 16}
HEAD = """\
| model | dtype | input | program | ops | call ms | 10% to 90% | build | eval | -O1 / it |
|---|---|---|---|---|---|---|---|---|---|"""

Inputs = tuple[mx.array, ...]


# ---- emitting


def emit(folder: Path) -> None:
    import torch
    from cpp_latency import zoo

    library = zoo()
    if library:  # mends a torchvision whose compiled part does not load
        library.shim_torch_ext()
    from torchvision.models import resnet50
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    from mlx_transpile import transpile

    rope = {"rope_type": "default", "rope_theta": LLAMA["rope_theta"]}
    config = LlamaConfig(**{**LLAMA, **CAPTURED}, rope_parameters=rope, use_cache=False)
    ids = torch.randint(0, CAPTURED["vocab_size"], (2, 5))
    llama = LlamaForCausalLM(config).bfloat16()
    llama.model.rotary_emb = LlamaRotaryEmbedding(config)  # as loaded: frequencies in float32
    for level in LEVELS:
        for name, module, inputs in (
            ("llama", llama, (ids,)),
            ("resnet50", resnet50(), (torch.randn(2, 3, 224, 224),)),
        ):
            out = folder / f"{name}-O{level}"
            transpile(module.eval(), out, example_inputs=inputs, level=level)
            (out / "weights.safetensors").unlink()
            print(out, file=sys.stderr, flush=True)


# ---- models


def emitted(folder: Path, sizes: Mapping[str, int]) -> nn.Module:
    """The emitted model at its whole size, with weights of its own making."""
    config = json.loads((folder / "config.json").read_text())
    config |= {key: value for key, value in sizes.items() if key in config}
    module = import_model(folder)
    made: nn.Module = module.Model(module.ModelArgs(**config))
    return made


def hand_written(path: Path) -> nn.Module:
    """The Llama of mlx_lm; its package's own imports, which need more, are left out."""
    for name in ("mlx_lm", "mlx_lm.models"):
        package = types.ModuleType(name)
        package.__path__ = [str(path.joinpath(*name.split(".")))]
        sys.modules[name] = package
    from mlx_lm.models import llama

    known: dict[str, Any] = LLAMA | WHOLE
    made: nn.Module = llama.Model(
        llama.ModelArgs(model_type="llama", tie_word_embeddings=False, **known)
    )
    return made


def fill(model: nn.Module, dtype: mx.Dtype) -> nn.Module:
    """Random weights that keep activations of the usual size, the same for the same names."""
    weights = []
    for name, old in tree_flatten(model.parameters()):
        if not mx.issubdtype(old.dtype, mx.floating):
            continue
        key = mx.random.key(sum(ord(c) * 31**i for i, c in enumerate(name)) % 2**31)
        if name.endswith(("inv_freq", "freqs")):
            new = LLAMA["rope_theta"] ** (mx.arange(old.size) / old.size)
            weights.append((name, 1 / new if name.endswith("inv_freq") else new))
            continue
        if old.ndim == 1:
            new = mx.random.uniform(0.5, 1.5, old.shape, key=key)
        else:
            scale = 1.0 if "embed" in name else float(np.prod(old.shape[1:])) ** -0.5
            new = mx.random.normal(old.shape, scale=scale, key=key)
        weights.append((name, new.astype(dtype)))
        mx.eval(new)
    model.load_weights(weights, strict=False)
    model.eval()
    mx.eval(model.parameters())
    return model


# ---- measurement


def timed(call: Callable[..., Any], inputs: Inputs, count: int) -> np.ndarray:
    """Milliseconds to build the graph, to evaluate it, and of the call, for each call."""
    rows = []
    for _ in range(count):
        start = time.perf_counter()
        output = call(*inputs)
        built = time.perf_counter()
        mx.eval(output)
        done = time.perf_counter()
        rows.append((built - start, done - built, done - start))
    return np.array(rows) * 1000


def turns(
    label: str,
    programs: Mapping[str, Callable[..., Any]],
    inputs: Inputs,
    rounds: int,
) -> list[str]:
    """A B C A B C: what else the machine does falls on all."""
    counts = {}
    for name, call in programs.items():
        timed(call, inputs, 10)
        middle = float(np.median(timed(call, inputs, 10)[:, 2]))
        counts[name] = max(5, int(TURN * 1000 / middle))
    times: dict[str, list[np.ndarray]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, call in programs.items():
            times[name].append(timed(call, inputs, counts[name]))
    base = np.array([np.median(t[:, 2]) for t in times["-O1"]])
    lines = []
    for name, call in programs.items():
        rows = np.concatenate(times[name])
        build, evaluate, whole = np.median(rows, axis=0)
        low, high = np.percentile(rows[:, 2], [10, 90])
        ratio = np.median(base / np.array([np.median(t[:, 2]) for t in times[name]]))
        ops = "" if name.endswith("compiled") else count_ops(call(*inputs))
        lines.append(
            f"| {label} | {name} | {ops} | {whole:.3f} | {low:.3f} to {high:.3f} "
            f"| {build:.3f} | {evaluate:.3f} | {ratio:.2f} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def difference(label: str, models: Mapping[str, nn.Module], inputs: Inputs) -> list[str]:
    """Largest difference from -O1, by its largest value, where the weights are the same."""
    values = {}
    for name, model in models.items():
        if name == "-O2":  # its merged weights have other names
            continue
        output = model(*inputs)
        output = output["logits"] if isinstance(output, dict) else output
        values[name] = np.array(output.astype(mx.float32))
    reference = values.pop("-O1")
    largest = np.abs(reference).max()
    return [
        f"| {label} | {name} | {np.abs(value - reference).max() / largest:.1e} |"
        for name, value in values.items()
    ]


def run(folder: Path, mlx_lm: Path | None, rounds: int) -> tuple[list[str], list[str]]:
    lines: list[str] = []
    compared: list[str] = []
    jobs: list[tuple[str, mx.Dtype, dict[str, Inputs]]] = [
        ("llama", mx.bfloat16, {f"{n} tokens": (tokens(n),) for n in (1, 128, 1024)}),
        ("resnet50", mx.float32, {f"batch {n}": (image(n),) for n in (1, 32)}),
        ("resnet50", mx.bfloat16, {f"batch {n}": (image(n, mx.bfloat16),) for n in (1, 32)}),
    ]  # fmt: skip
    for name, dtype, sizes in jobs:
        llama = name == "llama"
        models = {
            f"-O{level}": fill(emitted(folder / f"{name}-O{level}", WHOLE if llama else {}), dtype)
            for level in LEVELS
        }
        if llama and mlx_lm:
            models["mlx-lm"] = fill(hand_written(mlx_lm), dtype)
        programs: dict[str, Callable[..., Any]] = dict(models)
        programs |= {f"{key}, compiled": mx.compile(model) for key, model in models.items()}
        for size, inputs in sizes.items():
            label = f"{name} | {str(dtype).rpartition('.')[2]} | {size}"
            if llama:  # a convolution's weights have another layout at -O0
                compared += difference(label, models, inputs)
            lines += turns(label, programs, inputs, rounds)
    return lines, compared


def tokens(count: int) -> mx.array:
    return mx.arange(count)[None] * 7919 % WHOLE["vocab_size"]


def image(batch: int, dtype: mx.Dtype = mx.float32) -> mx.array:
    return mx.random.normal((batch, 3, 224, 224), dtype=dtype)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--emit", action="store_true")
    parser.add_argument("--mlx-lm", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    if options.emit:
        emit(options.folder)
        return 0
    lines, compared = run(options.folder, options.mlx_lm, options.rounds)
    device = mx.device_info().get("device_name", platform.processor())
    text = "\n".join([
        f"MLX {version('mlx')}, {device}, Python {platform.python_version()}", "", HEAD, *lines,
        "", "| model | dtype | input | program | difference from -O1 |", "|---|---|---|---|---|",
        *compared, "",
    ])  # fmt: skip
    print(text)
    if options.output:
        options.output.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
