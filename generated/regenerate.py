"""Writes the committed output for the reference models again, or checks that it is up to date.

    python generated/regenerate.py            write generated/<model>/
    python generated/regenerate.py --check    exit 1 and say what differs

Source files must agree byte by byte. Stored reference outputs come from running the source, whose last bits depend on
the processor: they are compared with a tolerance. So are no versions: the manifest's are left out of the comparison.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from mlx_transpile import transpile
from safetensors.numpy import load_file

HERE = Path(__file__).parent
MODELS = ("llama", "bert", "resnet", "bilstm")
TOLERANCE = 1e-4


def generate(name: str, out: Path) -> None:
    """Transpile one reference model into `out`."""
    transpile(HERE / "sources" / f"{name}.pt", out, emit=("python", "cpp"))


def differences(committed: Path, fresh: Path) -> list[str]:
    """The files in which the two folders differ."""
    names = {
        p.relative_to(committed)
        for p in committed.rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    names |= {p.relative_to(fresh) for p in fresh.rglob("*") if p.is_file()}
    return [str(n) for n in sorted(names) if not _same(committed / n, fresh / n)]


def _same(a: Path, b: Path) -> bool:
    if not (a.is_file() and b.is_file()):
        return False
    if a.suffix == ".safetensors":
        left, right = load_file(a), load_file(b)
        return left.keys() == right.keys() and all(_close(left[k], right[k]) for k in left)
    if a.name == "manifest.json":
        return _manifest(a) == _manifest(b)
    return filecmp.cmp(a, b, shallow=False)


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return (
        a.shape == b.shape
        and a.dtype == b.dtype
        and np.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE)
    )


def _manifest(path: Path) -> dict[str, object]:
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest.pop("versions", None)
    return manifest


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if anything differs"
    )
    check = parser.parse_args(arguments).check
    stale = []
    for name in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            fresh = Path(folder) / name
            generate(name, fresh)
            if check:
                stale += [f"{name}/{d}" for d in differences(HERE / name, fresh)]
            else:
                shutil.rmtree(HERE / name, ignore_errors=True)
                shutil.copytree(fresh, HERE / name)
    for path in stale:
        print(f"generated/{path} differs: run `make generated`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
