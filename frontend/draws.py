"""What a run of a torch source draws: its random numbers, in order.

A comparison needs the same numbers on both sides, and no two generators agree. So a run of the
source that draws starts from a fixed seed, and notes what it draws: the emitted model is then given
the same. Drawing is recognised by the generator's state, whatever op it is that draws, also inside
of saved graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ir import Graph
from ..ir.draws import draws
from .arrays import to_numpy, to_torch

_SEED = 20


class Draws:
    """Notes what the runs of a source draw. Its runners run inside of `watch`."""

    def __init__(self) -> None:
        self.noting = False
        self.last: list[np.ndarray] = []  # of the last run

    @contextmanager
    def watch(self) -> Iterator[None]:
        if not self.noting:
            yield
            return
        with recorded() as found:
            yield
        self.last = found

    def runs(self, graph: Graph, run: Any, module_outputs: Any, narrow: Any) -> dict[str, Any]:
        """What `Captured` holds to run the source: as they are where the graph draws nothing."""
        plain = {"run": run, "module_outputs": module_outputs, "run_narrow": narrow}
        if not draws(graph):
            return plain
        noted = self._noted(run)

        def drawing(inputs: Sequence[np.ndarray]) -> tuple[Any, list[np.ndarray]]:
            return noted(inputs), self.last

        def again(dtype: str, inputs: Sequence[np.ndarray]) -> Any:
            noted(inputs)
            with recorded(self.last):
                return narrow(dtype, inputs)

        return {
            **plain,
            "module_outputs": self._noted(module_outputs),
            "run_narrow": again if narrow is not None else None,
            "run_drawing": drawing,
        }

    def _noted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose runs of the source start from the seed."""

        def wrapper(*args: Any) -> Any:
            self.noting = True
            try:
                return function(*args)
            finally:
                self.noting = False

        return wrapper


@contextmanager
def recorded(given: Sequence[np.ndarray] | None = None) -> Iterator[list[np.ndarray]]:
    """The numbers drawn inside, in order. With `given` those are drawn, in their order."""
    import torch

    found: list[np.ndarray] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        with _watcher(found, given):
            yield found


def _watcher(found: list[np.ndarray], given: Sequence[np.ndarray] | None) -> Any:
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watcher(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            kwargs = kwargs or {}
            if torch.Tag.nondeterministic_seeded not in func.tags:
                return func(*args, **kwargs)
            before = torch.get_rng_state()
            result = func(*args, **kwargs)
            if torch.equal(before, torch.get_rng_state()):
                return result  # what could draw, and does not: attention without dropout
            step = _STEPS.get(str(func).removeprefix("aten."))
            drawn = step.draw(result) if step else result
            if given is not None:
                drawn.copy_(to_torch(given[len(found)]))
            elif drawn.dtype == torch.float64:
                drawn.copy_(drawn.float())  # MLX draws nothing in double precision
            found.append(to_numpy(drawn).copy())
            return result.copy_(step.finish(drawn, *args)) if step else result

    return Watcher()


@dataclass(frozen=True)
class _Step:
    """An op that its row makes of a simpler draw: the source makes it of the same one."""

    draw: Callable[[Any], Any]  # numbers of the shape and type of the op's result
    finish: Callable[..., Any]  # the op's result from these and its arguments


_NORMAL = _Step(
    draw=lambda like: like.new_empty(like.shape).normal_(),
    finish=lambda draw, mean, std=1.0: draw * std + mean,
)
_EXPONENTIAL = _Step(
    draw=lambda like: like.new_empty(like.shape).uniform_(),
    finish=lambda draw, like, rate=1.0: -(-draw).log1p() / rate,
)
_STEPS = {
    "normal.Tensor_float": _NORMAL,
    "normal.float_Tensor": _NORMAL,
    "normal.Tensor_Tensor": _NORMAL,
    "exponential.default": _EXPONENTIAL,
    "exponential_.default": _EXPONENTIAL,
}
