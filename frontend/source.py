"""What every frontend returns: the program, the tensors it reads, and a way to run the source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..ir import Program, Value
from ..ir.draws import number_draws
from .random_inputs import sorted_by


@dataclass(frozen=True)
class DimEvidence:
    """What is known of one dim of one input, and why.

    `kind` is free, multiple (of a free symbol that no dim is by itself: `symbol` is `4*H`), tied
    (to the dims that `symbol` names elsewhere) or static; `size` is the captured size; `evidence`
    says what was run or proved ("ran at 1, 2, 3, 17", "equal to L: add at model.py:31", "a multiple
    of 4: view at model.py:12", "fails at 3: ...").
    """

    input: str
    axis: int
    kind: str
    size: int
    symbol: str | None
    evidence: str


@dataclass
class Captured:
    """A captured source model.

    `tensors` maps the names that recipes read to arrays (bfloat16 as ml_dtypes); it may load
    lazily. `run` takes flat inputs in the order of `program.forward.inputs` and returns the
    source's own result, nested like `forward.result`, as arrays. `module_outputs` runs likewise and
    returns, for every module call `(path, call number)`, the flat arrays the module returned.
    `example_inputs` are flat arrays at the captured sizes (random where the capture holds none).
    `baked` lists inputs that were None, bools or numbers: name -> value.
    `run_drawing` is there where the source draws random numbers: `run` with, beside the result, the
    numbers that it drew, in order; `drawn` is how many draws the graph had at capture.
    `unsorted` are inputs that the source sorts, as the graph had it at capture.
    `run_narrow(dtype, inputs)` runs the source with weights and floating-point inputs of a narrow
    dtype, and raises where the source does not run there; None where that cannot be asked.
    """

    program: Program
    format: str
    tensors: Mapping[str, np.ndarray]
    run: Callable[[Sequence[np.ndarray]], Any]
    module_outputs: Callable[[Sequence[np.ndarray]], dict[tuple[str, int], list[np.ndarray]]]
    example_inputs: list[np.ndarray]
    dims: list[DimEvidence]
    baked: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    run_narrow: Callable[[str, Sequence[np.ndarray]], Any] | None = None
    run_drawing: Callable[[Sequence[np.ndarray]], tuple[Any, list[np.ndarray]]] | None = None
    drawn: int = 0
    unsorted: frozenset[Value] = frozenset()

    def __post_init__(self) -> None:
        for graph in self.program.graphs.values():
            graph.tensors = self.tensors
            self.drawn = number_draws(graph)
            self.unsorted |= sorted_by(graph)
