"""Time of the whole pipeline against the number of layers.

    python benchmarks/transpile_time.py [--layers 2 8 32] [--repeat 3] [--route trace|export]

Transpiles the Llama-type decoder of tests/models from a saved archive (reading, walking, passes,
code, weights, files) and prints the best of `--repeat` runs for each depth, and how the time grows:
(t32 - t2) / (t8 - t2) is 5 when it is linear in the depth. torch runs on one thread. The first
line has the start-up: the best of five runs of `transpile --help`.
"""

import argparse
import platform
import subprocess
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


def measure(source: Path, out: Path, repeat: int) -> tuple[float, float]:
    """Wall and processor seconds, each the best of `repeat` runs.

    On a machine that does other work too, the processor's time is the one to look at.
    """
    walls, cpus = [], []
    for _ in range(repeat):
        wall, cpu = time.perf_counter(), time.process_time()
        mlx_transpile.transpile(source, out)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def start_up() -> float:
    """Wall seconds of the best of five runs of `transpile --help`."""
    command = [sys.executable, "-m", "mlx_transpile.cli", "--help"]
    walls = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        walls.append(time.perf_counter() - start)
    return min(walls)


def growth(times: dict[int, float]) -> float:
    """(t_last - t_first) / (t_second - t_first)."""
    first, second, *_, last = times.values()
    return (last - first) / (second - first)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--layers", type=int, nargs="+", default=[2, 8, 32])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--route", choices=["trace", "export"], default="trace")
    args = parser.parse_args()
    if len(args.layers) < 3 or args.layers != sorted(set(args.layers)):
        parser.error("--layers takes three or more different numbers in rising order")

    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}")
    print(f"--help: {start_up():.2f} s")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = {n: save(n, args.route, folder) for n in args.layers}
        measure(sources[args.layers[0]], folder / "warm-up", repeat=1)
        times = {n: measure(path, folder / f"out{n}", args.repeat) for n, path in sources.items()}
    for n, (wall, cpu) in times.items():
        print(f"{n:4d} layers  {wall:7.2f} s  {cpu:7.2f} s of processor time")
    wall_growth = growth({n: wall for n, (wall, _) in times.items()})
    cpu_growth = growth({n: cpu for n, (_, cpu) in times.items()})
    a, b, c = args.layers[0], args.layers[1], args.layers[-1]
    print(f"(t{c} - t{a}) / (t{b} - t{a}): {wall_growth:.2f}, {cpu_growth:.2f} of processor time")
    print(f"linear would be {(c - a) / (b - a):.2f}")


if __name__ == "__main__":
    main()
