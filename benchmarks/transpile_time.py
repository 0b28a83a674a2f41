"""Time of the whole pipeline against the number of layers.

    python benchmarks/transpile_time.py [--layers 2 8 32] [--repeat 3] [--route trace|export]

Transpiles the Llama-type decoder of tests/models from a saved archive (reading, walking, passes,
code, weights, files) and prints the best of `--repeat` runs for each depth, and how the time grows:
(t32 - t2) / (t8 - t2) is 5 when it is linear in the depth.
"""

import argparse
import platform
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.export import Dim

import mlx_transpile

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from models.llama import llama_decoder


def save(layers: int, route: str, folder: Path) -> Path:
    """The decoder with that many layers as an archive."""
    case = llama_decoder(layers)
    with torch.no_grad():
        if route == "trace":
            path = folder / f"llama{layers}.pt"
            torch.jit.trace(case.module, case.inputs).save(str(path))
            return path
        path = folder / f"llama{layers}.pt2"
        axes = tuple(dict.fromkeys(dims, Dim.AUTO) for dims in case.dims)
        torch.export.save(torch.export.export(case.module, case.inputs, dynamic_shapes=axes), path)
        return path


def seconds(source: Path, out: Path, repeat: int) -> float:
    """The best of `repeat` runs."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        mlx_transpile.transpile(source, out)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--layers", type=int, nargs="+", default=[2, 8, 32])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--route", choices=["trace", "export"], default="trace")
    args = parser.parse_args()

    print(f"torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = {n: save(n, args.route, folder) for n in args.layers}
        seconds(sources[args.layers[0]], folder / "warm-up", repeat=1)
        times = {n: seconds(path, folder / f"out{n}", args.repeat) for n, path in sources.items()}
    for n, value in times.items():
        print(f"{n:4d} layers  {value:7.2f} s")
    if len(args.layers) >= 3:
        small, middle, large = args.layers[0], args.layers[1], args.layers[-1]
        ratio = (times[large] - times[small]) / (times[middle] - times[small])
        linear = (large - small) / (middle - small)
        print(
            f"(t{large} - t{small}) / (t{middle} - t{small}) = {ratio:.2f}  (linear: {linear:.2f})"
        )


if __name__ == "__main__":
    main()
