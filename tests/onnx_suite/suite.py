"""Runs cases of ONNX's backend test suite through the whole compiler to emitted Python in MLX."""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from itertools import count
from typing import Any

import mlx.core as mx
import numpy as np
import onnx
import onnx.numpy_helper

from mlx_transpile.codegen import emit
from mlx_transpile.codegen.weights import narrow
from mlx_transpile.errors import TranspileError
from mlx_transpile.frontend.onnx import capture_model
from mlx_transpile.ir.graph import leaves
from mlx_transpile.ir.recipe import evaluate
from mlx_transpile.passes import pipeline

from .groups import Suite

_numbers = count()


def _plain(value: Any) -> Any:
    """Some cases hold protobuf tensors in the place of arrays."""
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return value


class Failed(Exception):
    """The emitted model ran and gave something else."""


def check(case: Suite) -> list[str]:
    """Compile and run; raises what goes wrong. Returns the inputs that were fixed at capture."""
    model, fixed = compiled(case)
    for data in case.data:
        inputs, outputs = ([_plain(v) for v in part] for part in data)
        given = [a for n, a in zip(case.inputs, inputs, strict=False) if n not in fixed]
        result = model(*(to_mlx(a) for a in given))
        compare(list(leaves(result)), outputs, case)
    return fixed


def compiled(case: Suite) -> tuple[Any, list[str]]:
    """The emitted model with its weights, and the inputs that were fixed at capture."""
    inputs = [_plain(v) for v in case.data[0][0]] if case.data else None
    captured = capture_model(case.model, example_inputs=[_array(a) for a in inputs or []])
    pipeline.run(captured.program, 1)
    emitted = emit(captured.program, captured.program.forward.name)
    module = load(emitted.source)
    args = [module.ModelArgs(**emitted.config)] if hasattr(module, "ModelArgs") else []
    model = module.Model(*args)
    weights = [
        (name, to_mlx(np.asarray(evaluate(p.recipe, captured.tensors))))
        for name, p in emitted.parameters.items()
    ]
    model.load_weights(weights)
    model.eval()
    return model, list(captured.baked)


def _array(value: Any) -> Any:
    if not isinstance(value, np.ndarray | np.generic):
        raise TranspileError("an input that is no tensor")
    return np.asarray(value)


def load(source: str) -> Any:
    """The emitted source as a module."""
    module = types.ModuleType(f"_onnx_suite_{next(_numbers)}")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        exec(compile(source, module.__name__, "exec"), module.__dict__)
    finally:
        sys.modules.pop(module.__name__)
    return module


def to_mlx(array: Any) -> mx.array:
    array = np.asarray(array)
    return mx.array(np.ascontiguousarray(narrow(array)).reshape(array.shape))


def compare(found: Sequence[Any], expected: Sequence[Any], case: Suite) -> None:
    """Same number of outputs, shapes, types, and values within the suite's tolerances."""
    if len(found) != len(expected):
        raise Failed(f"{len(found)} outputs, {len(expected)} expected")
    for i, (got, want) in enumerate(zip(found, expected, strict=True)):
        _compare(got, np.asarray(want), case, i)


_TOLERANCES = {"float16": (5e-3, 1e-3), "bfloat16": (2e-2, 1e-2)}


def _compare(got: Any, want: np.ndarray, case: Suite, index: int) -> None:
    kind = narrow(want).dtype.name
    name = str(got.dtype).rsplit(".", 1)[-1].replace("bool_", "bool")
    if name != kind and (name, kind) != ("float64", "float32"):  # MLX has float64 on a CPU
        raise Failed(f"output {index} is {name}, {kind} expected")
    if tuple(got.shape) != want.shape:
        raise Failed(f"output {index} has the shape {tuple(got.shape)}, {want.shape} expected")
    array = np.array(got.astype(mx.float32)) if name == "bfloat16" else np.array(got)
    wide = np.complex128 if array.dtype.kind == "c" else np.float64
    if array.dtype.kind in "biu":
        if not np.array_equal(array, want):
            raise Failed(f"output {index}: {np.mean(array != want):.0%} of the elements differ")
        return
    rtol, atol = _TOLERANCES.get(kind, (case.rtol, max(case.atol, 1e-5)))
    close = np.isclose(array.astype(wide), want.astype(wide), rtol, atol, equal_nan=True)
    if not close.all():
        off = np.abs(array.astype(wide) - want.astype(wide))[~close].max()
        raise Failed(f"output {index}: {np.mean(~close):.0%} differ, by {off:.3g} at most")
