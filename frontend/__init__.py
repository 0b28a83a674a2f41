"""From source models to the IR: one entry for all formats. Imports happen when they are needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import BadRequest

if TYPE_CHECKING:
    from .inputs import InputSpec
    from .source import Captured


def capture(
    source: Any,
    *,
    inputs: Sequence[InputSpec] | None = None,
    example_inputs: Any = None,
    weights: str | os.PathLike[str] | None = None,
) -> Captured:
    """The program of a model, with its tensors and a way to run it.

    `source` is the path of a TorchScript, torch.export or ONNX file, `package.module:factory`,
    an `nn.Module` (a `GraphModule` too) with `example_inputs`, or an `ExportedProgram`. `inputs`
    states dims and element types where the source holds none, or fixes dims. `weights` goes with
    a factory.
    """
    if isinstance(source, str | os.PathLike):
        return _from_text(os.fspath(source), inputs, example_inputs, weights)
    if weights is not None:
        raise BadRequest("weights go with package.module:factory, not with a model that has them")
    return _from_object(source, inputs, example_inputs)


def _from_text(
    source: str, inputs: Sequence[InputSpec] | None, example_inputs: Any, weights: Any
) -> Captured:
    from .factory import build, is_factory

    if is_factory(source) and not os.path.exists(source):
        module, own = build(source, weights)
        return _from_object(module, inputs, own if example_inputs is None else example_inputs)
    if weights is not None:
        raise BadRequest(
            f"{source!r} is a file, and --weights was given",
            hint="--weights goes with package.module:factory",
        )
    return _from_file(source, inputs, example_inputs)


def _from_file(
    path: str, inputs: Sequence[InputSpec] | None, example_inputs: Any = None
) -> Captured:
    from .detect import EXPORT, TORCHSCRIPT, detect

    kind = detect(path)
    if kind == EXPORT:
        from .export import capture_archive

        return capture_archive(path, inputs)
    if kind == TORCHSCRIPT:
        from .torchscript import capture_archive as capture_torchscript

        return capture_torchscript(path, inputs)
    from .onnx import capture_file

    return capture_file(path, inputs, example_inputs)


def _from_object(source: Any, inputs: Sequence[InputSpec] | None, example_inputs: Any) -> Captured:
    kinds = {f"{c.__module__}.{c.__name__}" for c in type(source).__mro__}
    if "torch.export.exported_program.ExportedProgram" in kinds:
        from .export import capture_program

        return capture_program(source, inputs)
    if "torch.jit._script.ScriptModule" in kinds:
        return _from_script(source, inputs)
    if "torch.nn.modules.module.Module" in kinds:
        from .export import capture_module

        return capture_module(source, example_inputs, inputs)
    if "onnx.onnx_ml_pb2.ModelProto" in kinds or "onnx_ml_pb2.ModelProto" in kinds:
        from .onnx import capture_model

        return capture_model(source, inputs, example_inputs)
    raise BadRequest(
        f"a {type(source).__name__} is no model",
        hint="a path, package.module:factory, an nn.Module, or an ExportedProgram",
    )


def _from_script(module: Any, inputs: Sequence[InputSpec] | None) -> Captured:
    """A ScriptModule in memory goes through a file: only files say what they were traced with."""
    import tempfile

    import torch

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.pt")
        torch.jit.save(module, path)
        return _from_file(path, inputs)


__all__ = ["capture"]
