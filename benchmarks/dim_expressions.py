"""Our dim expressions against sympy: import time, and building and comparing shape expressions.

    python benchmarks/dim_expressions.py [--rounds 2000]

One round makes what a strided layer and a reshape make: a halved size, a product, and a comparison
that holds only after normalisation. sympy comes with torch.
"""

import argparse
import subprocess
import sys
import time
from typing import Any


def rounds(count: int, batch: Any, length: Any, normal: Any) -> int:
    """How many of the comparisons hold (all of them)."""
    equal = 0
    for i in range(count):
        size = batch * ((length + i) // 2 + 1) * 64
        again = normal((size + batch * i) * 2 - size - 2 * i * batch)
        equal += bool(again == normal(size))
    return equal


def timed(count: int, batch: Any, length: Any, normal: Any) -> float:
    start = time.perf_counter()
    if rounds(count, batch, length, normal) != count:
        raise SystemExit("a comparison failed")
    return time.perf_counter() - start


def import_time(module: str) -> float:
    """Seconds of a fresh interpreter with the import, less those of one without: best of 5."""

    def run(code: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - start

    return min(run(f"import {module}") for _ in range(5)) - min(run("pass") for _ in range(5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2000)
    count = parser.parse_args().rounds

    import sympy

    from mlx_transpile.ir import dims

    own = timed(count, dims.symbol("B"), dims.symbol("L"), lambda dim: dim)
    names = sympy.symbols("B L", integer=True, positive=True)
    theirs = timed(count, *names, sympy.expand)
    print(f"{count} rounds: own {own:.2f} s, sympy {theirs:.2f} s ({theirs / own:.0f} times)")
    for module in ("sympy", "mlx_transpile.ir"):
        print(f"import {module}: {import_time(module):.2f} s")


if __name__ == "__main__":
    main()
