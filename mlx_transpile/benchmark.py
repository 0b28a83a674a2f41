"""Times of the source and of the emitted model, on the same inputs and the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .codegen.project import fill_arguments
from .emitted_model import EmittedModel
from .frontend.source import Captured

SECONDS, LEAST, MOST = 2.0, 5, 200


def median_seconds(run: Callable[[], Any]) -> tuple[float, int]:
    """The median time of a run after one to warm up, and the number of runs."""
    run()
    times: list[float] = []
    while len(times) < LEAST or (sum(times) < SECONDS and len(times) < MOST):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times), len(times)


def benchmark(captured: Captured, folder: Path) -> dict[str, Any]:
    """Medians in seconds at the captured sizes, without the conversion of inputs to MLX."""
    inputs = captured.example_inputs
    source, source_runs = median_seconds(lambda: captured.run(inputs))
    model = EmittedModel(folder)
    try:
        run = model.timed(fill_arguments(captured.program.forward.arguments, inputs))
        emitted, emitted_runs = median_seconds(run)
    finally:
        model.close()
    return {
        "source": {"median_seconds": source, "runs": source_runs},
        "emitted": {"median_seconds": emitted, "runs": emitted_runs},
        "inputs": [list(a.shape) for a in inputs],
    }
