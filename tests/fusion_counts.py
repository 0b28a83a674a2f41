"""How often each rule applies to a model: what tests of static against dynamic sizes share."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import torch

from mlx_transpile.explain import told
from mlx_transpile.frontend import capture
from mlx_transpile.passes import pipeline

HIGHEST = 2


class Counts(NamedTuple):
    """Applications by rule, and how many sizes of the inputs are free."""

    rules: Counter[str]
    free: int


def counts(program: torch.export.ExportedProgram) -> Counts:
    """Of all passes of the highest level."""
    captured = capture(program, inputs=None)
    runs = pipeline.run(captured.program, HIGHEST)
    applied = [e.rewrite for r in runs for e in told(r.log) if e.reason is None]
    return Counts(Counter(applied), len(captured.program.forward.symbols()))
