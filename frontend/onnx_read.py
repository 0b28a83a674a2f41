"""Reading .onnx files with onnx-ir: the model, its tensors, and a clear error for a bad file.

Tensors stay on disk until someone asks for their data. External data must lie in the model's own
folder: a path that leads out of it is refused before any file is opened.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadRequest, TranspileError
from ..ir import DType

try:
    import onnx_ir
except ImportError:  # an optional dependency: said when an .onnx file is read
    onnx_ir = None

DTYPES = {
    "BOOL": DType.bool, "UINT8": DType.u8, "UINT16": DType.u16, "UINT32": DType.u32,
    "UINT64": DType.u64, "INT8": DType.i8, "INT16": DType.i16, "INT32": DType.i32,
    "INT64": DType.i64, "FLOAT16": DType.f16, "BFLOAT16": DType.bf16, "FLOAT": DType.f32,
    "DOUBLE": DType.f64, "COMPLEX64": DType.c64, "COMPLEX128": DType.c128,
}  # fmt: skip

# Whole numbers of fewer bits than a byte has, as the file's tensors may be: kept in bytes here.
NARROW = {
    "UINT2": (DType.u8, 2),
    "INT2": (DType.i8, 2),
    "UINT4": (DType.u8, 4),
    "INT4": (DType.i8, 4),
}


def dtype_of(kind: Any, what: str) -> DType:
    """The IR's element type for onnx-ir's; TranspileError for types that MLX has no arrays of."""
    name = getattr(kind, "name", None) or onnx_ir.DataType(int(kind)).name
    if name not in DTYPES:
        raise TranspileError(
            f"{what} holds {name.lower()}, which has no tensors here",
            hint=f"element types that work: {', '.join(n.lower() for n in DTYPES)}",
        )
    return DTYPES[name]


def read_file(path: str | os.PathLike[str]) -> Any:
    """The model of a file, with lazy tensors; BadRequest says what is wrong with it."""
    _need_onnx()
    import onnx

    name = Path(path).name
    try:
        proto = onnx.load(os.fspath(path), format="protobuf", load_external_data=False)
    except Exception as error:  # protobuf's own errors have no common class
        raise BadRequest(
            f"{name!r} is no readable ONNX model: {_line(error)}", hint="copy or save it again"
        ) from None
    return read_proto(proto, os.path.dirname(os.path.abspath(path)), name)


def read_proto(proto: Any, folder: str, name: str) -> Any:
    """The model of a ModelProto; external data is looked for in the folder."""
    _need_onnx()
    if not proto.graph.output:
        raise BadRequest(f"{name!r} is an ONNX model that has no outputs", hint="save it again")
    try:
        with _quiet():
            model = onnx_ir.serde.deserialize_model(proto)
    except Exception as error:
        raise BadRequest(
            f"{name!r} is no well-formed ONNX model: {_line(error)}", hint="save it again"
        ) from None
    _check_names(model, name)
    _check_opsets(model, name)
    onnx_ir.external_data.set_base_dir(model.graph, folder)
    _check_external(model, folder)
    _sort(model, name)
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """onnx-ir logs what is wrong with a model; here one error says it."""
    logger = logging.getLogger("onnx_ir")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _check_names(model: Any, name: str) -> None:
    """Protobuf gives bytes for a text that is no UTF-8."""
    for graph in [*_all_graphs(model.graph), *model.functions.values()]:
        for node in graph:
            values = [v.name for v in (*node.inputs, *node.outputs) if v is not None]
            _check_texts(name, node.op_type, node.domain, node.name, *values, *node.attributes)
    dims = (getattr(d, "value", d) for v in model.graph.inputs for d in v.shape or ())
    _check_texts(name, model.graph.name, *model.graph.initializers, *dims)


def _check_texts(name: str, *texts: Any) -> None:
    if any(isinstance(text, bytes) for text in texts):
        raise BadRequest(
            f"{name!r} is damaged: a name in it is no text", hint="copy or save it again"
        )


def _check_opsets(model: Any, name: str) -> None:
    """Versions of the standard that are not there yet may mean something else."""
    import onnx

    latest = onnx.defs.onnx_opset_version()
    for domain, version in model.opset_imports.items():
        if version < 1 or (domain in ("", "ai.onnx") and version > latest):
            raise BadRequest(
                f"{name!r} is of opset {version}; those from 1 to {latest} are known",
                hint="export it for one of them, or upgrade onnx",
            )


def _need_onnx() -> None:
    if onnx_ir is None:
        raise BadRequest(
            "reading ONNX models needs onnx and onnx-ir",
            hint="pip install 'mlx-transpile[onnx]'",
        )


def _line(error: BaseException) -> str:
    """What a library says: the first line of its first error."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


def _graphs(model: Any) -> Iterator[Any]:
    yield model.graph
    yield from model.functions.values()


def _sort(model: Any, name: str) -> None:
    """Nodes in order of their data; BadRequest on a cycle."""
    for graph in _graphs(model):
        try:
            if not _sorted(graph):
                graph.sort()
        except ValueError:
            raise BadRequest(
                f"{name!r} has a cycle: a node needs its own result", hint="save it again"
            ) from None


def _sorted(graph: Any) -> bool:
    seen: set[int] = set()
    for node in graph:
        for value in node.inputs:
            producer = value.producer() if value is not None else None
            if producer is not None and producer.graph is graph and id(producer) not in seen:
                return False
        seen.add(id(node))
    return True


# ---- external data


def _check_external(model: Any, folder: str) -> None:
    for tensor in external_tensors(model):
        check_place(os.fspath(tensor.location), tensor.name or "", folder)
        path = os.path.join(folder, tensor.location)
        if not os.path.isfile(path):
            raise BadRequest(
                f"the data of {tensor.name!r} is missing: there is no file {tensor.location!r}",
                hint="put it beside the .onnx file, under that name",
            )
        need = (tensor.offset or 0) + (tensor.length or 0)
        if os.path.getsize(path) < need:
            raise BadRequest(
                f"{tensor.location!r} is too short for the data of {tensor.name!r}",
                hint="copy or download it again",
            )


def check_place(location: str, name: str, folder: str) -> None:
    """BadRequest where external data lies outside of the model's folder, links followed."""
    home = os.path.realpath(folder)
    place = os.path.realpath(os.path.join(home, location))
    if os.path.isabs(location) or os.path.commonpath([home, place]) != home:
        raise BadRequest(
            f"the data of {name!r} lies at {location!r}, outside of the model's folder",
            hint="save the model with its data beside it",
        )


def external_tensors(model: Any) -> Iterator[Any]:
    for graph in _all_graphs(model.graph):
        for value in graph.initializers.values():
            if isinstance(value.const_value, onnx_ir.ExternalTensor):
                yield value.const_value


def _all_graphs(graph: Any) -> Iterator[Any]:
    """A graph and those inside its nodes."""
    waiting = [graph]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph:
            for attr in node.attributes.values():
                if attr.type == onnx_ir.AttributeType.GRAPH:
                    waiting.append(attr.value)
                elif attr.type == onnx_ir.AttributeType.GRAPHS:
                    waiting.extend(attr.value)


def array_of(tensor: Any) -> np.ndarray:
    """The data of a tensor; BadRequest where it does not fit its shape."""
    try:
        array = np.asarray(tensor.numpy())
        narrow = NARROW.get(tensor.dtype.name)
        return array.astype(narrow[0].numpy) if narrow else array
    except Exception as error:
        raise BadRequest(
            f"the data of {tensor.name or 'a constant'!r} does not fit its shape: {_line(error)}",
            hint="save the model again",
        ) from None


class Tensors(Mapping[str, np.ndarray]):
    """The initializers by name, read when they are asked for."""

    def __init__(self, model: Any):
        self._values = {
            name: value.const_value
            for name, value in model.graph.initializers.items()
            if value.const_value is not None and value.const_value.dtype.name in {*DTYPES, *NARROW}
        }

    def __getitem__(self, name: str) -> np.ndarray:
        return array_of(self._values[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
