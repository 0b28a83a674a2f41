"""Loads an emitted model from its folder, runs it on NumPy arrays, records module outputs."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .codegen.weights import narrow
from .ir.graph import leaves, map_structure
from .replay import replayed

_numbers = itertools.count()


class EmittedModel:
    """The model of a folder. The source is compiled here: nothing is written beside it."""

    def __init__(self, folder: Path):
        self.name = f"_mlx_transpile_emitted_{next(_numbers)}"
        path = folder / "model.py"
        spec = importlib.util.spec_from_loader(self.name, loader=None, origin=str(path))
        assert spec is not None  # a spec without a loader always exists
        module = importlib.util.module_from_spec(spec)
        module.__file__ = str(path)
        sys.modules[self.name] = module  # dataclasses look their module up there
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
        self.module = module
        self.model = module.load()

    def close(self) -> None:
        sys.modules.pop(self.name, None)

    def quantized(self) -> list[tuple[str, Any]]:
        """The layers that hold quantized weights, by path."""
        from mlx import nn

        kinds = (nn.QuantizedLinear, nn.QuantizedEmbedding)
        return [(n, m) for n, m in self.model.named_modules() if isinstance(m, kinds)]

    def dequantize(self) -> EmittedModel:
        """Give its quantized layers the float weights that theirs stand for."""
        from mlx.utils import tree_unflatten

        layers = [(name, _float_layer(layer)) for name, layer in self.quantized()]
        self.model.update_modules(tree_unflatten(layers))
        return self

    def run(self, arguments: Sequence[Any]) -> Any:
        """The result on nested NumPy arguments, as NumPy arrays."""
        return map_structure(to_numpy, self.model(*(map_structure(to_mlx, a) for a in arguments)))

    def timed(self, arguments: Sequence[Any]) -> Callable[[], None]:
        """A function that runs the model once to the end, without conversions."""
        import mlx.core as mx

        converted = [map_structure(to_mlx, a) for a in arguments]
        return lambda: mx.eval(self.model(*converted))

    def run_seeded(self, arguments: Sequence[Any], seed: int) -> Any:
        """The result with MLX's own random numbers, from the seed on."""
        import mlx.core as mx

        mx.random.seed(seed)
        return self.run(arguments)

    def run_recorded(
        self, arguments: Sequence[Any], draws: Sequence[np.ndarray] | None = ()
    ) -> tuple[Any, dict[str, list[list[np.ndarray]]]]:
        """The result, and for each module path the flat arrays of each of its calls; modules
        whose first call ends first come first.

        `draws` are the random numbers that the model has to draw; None for its own, the same ones
        in every run.
        """
        given = _reseeded() if draws is None else replayed(draws)
        with _recorded(self.model) as calls, given:
            result = self.run(arguments)
        paths: dict[int, list[str]] = {}
        for path, module in self.model.named_modules():
            paths.setdefault(id(module), []).append(path)
        return result, {path: own for key, own in calls.items() for path in paths.get(key, ())}


@contextlib.contextmanager
def _reseeded() -> Iterator[None]:
    import mlx.core as mx

    mx.random.seed(0)
    yield


def _float_layer(layer: Any) -> Any:
    """The quantized layer with a float weight."""
    import mlx.core as mx
    from mlx import nn

    linear = isinstance(layer, nn.QuantizedLinear)
    new = nn.Linear(1, 1, bias=False) if linear else nn.Embedding(1, 1)
    new.weight = mx.dequantize(
        layer.weight, layer.scales, layer.biases, layer.group_size, layer.bits, layer.mode
    )
    if "bias" in layer:
        new.bias = layer.bias
    return new


def to_mlx(value: Any) -> Any:
    """The array in MLX; other values as they are."""
    import mlx.core as mx

    if isinstance(value, np.ndarray | np.generic):
        return mx.array(np.ascontiguousarray(narrow(np.asarray(value))).reshape(np.shape(value)))
    return value


def to_numpy(value: Any) -> Any:
    """The array in NumPy (bfloat16 as float32, exactly); other values as they are."""
    import mlx.core as mx

    if isinstance(value, mx.array):
        return np.array(value.astype(mx.float32) if value.dtype == mx.bfloat16 else value)
    return value


@contextlib.contextmanager
def _recorded(model: Any) -> Iterator[dict[int, list[list[np.ndarray]]]]:
    """While open, every call of a module adds its flat output under the module's id."""
    calls: dict[int, list[list[np.ndarray]]] = {}
    ours = {id(module) for _, module in model.named_modules()}
    running: set[int] = set()

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if id(self) not in ours or id(self) in running:  # `super().__call__` is the same call
                return original(self, *args, **kwargs)
            running.add(id(self))
            try:
                result = original(self, *args, **kwargs)
            finally:
                running.discard(id(self))
            flat = [to_numpy(leaf) for leaf in leaves(result)]
            calls.setdefault(id(self), []).append([a for a in flat if isinstance(a, np.ndarray)])
            return result

        return call

    classes = {type(module) for _, module in model.named_modules()}
    originals = {cls: (cls.__dict__.get("__call__"), _method(cls)) for cls in classes}
    try:
        for cls, (_, found) in originals.items():
            if found is not None:
                cls.__call__ = wrap(found)
        yield calls
    finally:
        for cls, (own, _) in originals.items():
            if own is not None:
                cls.__call__ = own
            elif "__call__" in cls.__dict__:
                del cls.__call__


def _method(cls: type) -> Any:
    """The `__call__` of the class's instances; a module that only holds others may have none."""
    found = (c.__dict__["__call__"] for c in cls.__mro__ if "__call__" in c.__dict__)
    return next(found, None)
