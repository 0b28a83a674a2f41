"""Exports an `nn.Module` with example inputs; every size is dynamic where the model allows it."""

from __future__ import annotations

import inspect
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

from ..errors import BadRequest, TranspileError
from .export_rnn import opaque_recurrence
from .inputs import InputSpec, multiple_of

_SCALES = (1, 4, 16, 64)  # how much larger than usual to try dims that have no size
Call = tuple[tuple[Any, ...], dict[str, Any]]


def call_of(example_inputs: Any) -> Call:
    """(args, kwargs) of a tensor, a tuple of arguments, a dict by name, or (tuple, dict)."""
    import torch

    if isinstance(example_inputs, torch.Tensor):
        return (example_inputs,), {}
    if isinstance(example_inputs, Mapping):
        return (), dict(example_inputs)
    if not isinstance(example_inputs, list | tuple):
        raise BadRequest(
            f"example inputs are a {type(example_inputs).__name__}",
            hint="a tensor, a tuple of arguments, a dict of keyword arguments, or (args, kwargs)",
        )
    if (
        len(example_inputs) == 2
        and isinstance(example_inputs[0], list | tuple)
        and isinstance(example_inputs[1], dict)
    ):
        return tuple(example_inputs[0]), dict(example_inputs[1])
    return tuple(example_inputs), {}


def export_module(module: Any, example_inputs: Any) -> Any:
    """The ExportedProgram; TranspileError where torch can export the module in no mode."""
    if module.training:
        raise BadRequest(
            f"the {type(module).__name__} is in training mode", hint="call module.eval() first"
        )
    args, kwargs = call_of(example_inputs)
    failures: list[Exception] = []
    for attempt, (a, k) in enumerate(_attempts(args, kwargs)):
        try:
            return _export(module, a, k, strict=attempt >= 2)
        except Exception as error:
            failures.append(error)
    first = failures[0]
    lines = [line for line in str(first).splitlines() if line.strip()] or [type(first).__name__]
    raise TranspileError(
        f"torch.export cannot export the {type(module).__name__}: {lines[0]}",
        where=next((line.strip() for line in lines if line.strip().startswith("File ")), ""),
        hint="save torch.jit.trace(module, inputs) and transpile that file",
    ) from first


def _attempts(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Call]:
    """Example inputs to try: torch fixes sizes of 1, so a batch of 1 is doubled at first."""
    yield _doubled(args, kwargs) or (args, kwargs)
    yield args, kwargs
    yield args, kwargs


def _doubled(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    import torch
    from torch.utils._pytree import tree_leaves, tree_map

    tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor) and t.dim()]
    if not tensors or any(t.shape[0] != 1 for t in tensors):
        return None

    def twice(value: Any) -> Any:
        is_batched = isinstance(value, torch.Tensor) and value.dim()
        return torch.cat([value, value]) if is_batched else value

    return tree_map(twice, (args, kwargs))


def _export(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], strict: bool) -> Any:
    import torch
    from torch.utils._pytree import tree_leaves

    shapes = torch.export.ShapesCollection()
    for tensor in tree_leaves((args, kwargs)):
        if isinstance(tensor, torch.Tensor):
            shapes[tensor] = dict.fromkeys(range(tensor.dim()), torch.export.Dim.AUTO)
    with torch.no_grad(), opaque_recurrence(), _quiet():
        return torch.export.export(
            module,
            args,
            kwargs,
            dynamic_shapes=shapes.dynamic_shapes(module, args, kwargs),
            strict=strict,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's warnings and dumps: what matters is an error, or a dim that is fixed."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


def inputs_of(specs: Sequence[InputSpec], module: Any) -> Call:
    """Example inputs made from descriptions, as keyword arguments of the module's `forward`.

    Dims without sizes get small ones, and larger ones where the module does not run at those.
    """
    names = list(inspect.signature(module.forward).parameters)
    for spec in specs:
        if spec.name not in names:
            raise BadRequest(
                f"the module has no input {spec.name!r}", hint=f"one of {', '.join(names)}"
            )
    calls = (_inputs(specs, names, scale) for scale in _SCALES)
    named = any(isinstance(d, str) for spec in specs for d in spec.dims)
    if not named or module.training:
        return next(calls)
    return next((call for call in calls if _runs(module, call)), _inputs(specs, names, 1))


def _inputs(specs: Sequence[InputSpec], names: Sequence[str], scale: int) -> Call:
    import torch

    from .schema import torch_dtype

    leading = {multiple_of(d)[0] for s in specs for d in s.dims[:1] if isinstance(d, str)}
    sizes: dict[str, int] = {}
    kwargs = {}
    for spec in specs:
        shape = []
        for dim in spec.dims:
            name, factor, start = multiple_of(dim) if isinstance(dim, str) else ("", 0, dim)
            times = 1 if name in leading else scale
            size = sizes.setdefault(name, (2 + 5 * len(sizes)) * times) if name else 0
            shape.append(factor * size + start)
        dtype = torch_dtype(spec.dtype)
        generator = torch.Generator().manual_seed(0)
        if spec.dtype.is_float:
            kwargs[spec.name] = torch.randn(shape, generator=generator).to(dtype)
        else:
            kwargs[spec.name] = torch.randint(0, 2, shape, generator=generator).to(dtype)
    return (), {n: kwargs[n] for n in names if n in kwargs}


def _runs(module: Any, call: Call) -> bool:
    import torch

    try:
        with torch.no_grad(), _quiet():
            module(*call[0], **call[1])
    except Exception:  # whatever the module says of these sizes
        return False
    return True
