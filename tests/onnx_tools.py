"""What the tests of ONNX structure share: small models of torch as ONNX, and files without names."""

from __future__ import annotations

import contextlib
import io
import itertools
import string
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import onnx.inliner
import torch

from tests.models.case import Case

torch.set_num_threads(1)


def exported(case: Case, exporter: str, path: Path) -> Any:
    """The case's module as a ModelProto by one of torch's exporters: `legacy` or `dynamo`."""
    names = [f"input_{i}" for i in range(len(case.inputs))]
    code = case.module.forward.__code__
    names = list(code.co_varnames[1 : 1 + len(names)])
    axes = dict(zip(names, case.dims, strict=True))
    quiet = io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(quiet),
        contextlib.redirect_stderr(quiet),
        torch.no_grad(),
    ):
        warnings.simplefilter("ignore")
        if exporter == "legacy":
            torch.onnx.export(
                case.module, case.inputs, str(path), dynamo=False, input_names=names,
                dynamic_axes=axes,
            )  # fmt: skip
        else:
            torch.onnx.export(
                case.module, case.inputs, str(path), dynamo=True, external_data=False,
                dynamic_shapes=tuple(case.dims), verbose=False,
            )  # fmt: skip
    return onnx.load(str(path))


def stripped(proto: Any, weights: bool = False) -> Any:
    """The model with everything gone that could name a part of it, but for its inputs' names.

    Functions are inlined; nodes have no name, values are called a, b, c ...; no metadata. With
    `weights` the initializers keep their names.
    """
    model = onnx.inliner.inline_local_functions(proto)
    graph = model.graph
    kept = {v.name for v in graph.input} - {t.name for t in graph.initializer}
    kept |= {t.name for t in graph.initializer} if weights else set()
    taken = kept | {v.name for v in graph.output}
    names = (n for n in _letters() if n not in taken)
    _rename(graph, {name: name for name in kept} | {"": ""}, names)
    for part in (model, graph):
        del part.metadata_props[:]
        part.doc_string = ""
    graph.name = "g"
    return model


def _letters() -> Iterator[str]:
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_lowercase, repeat=length):
            yield "".join(letters)


def _rename(graph: Any, known: dict[str, str], names: Iterator[str]) -> None:
    def of(name: str) -> str:
        if name not in known:
            known[name] = next(names)
        return known[name]

    for tensor in graph.initializer:
        tensor.name, tensor.doc_string = of(tensor.name), ""
    for node in graph.node:
        node.name = node.doc_string = ""
        del node.metadata_props[:]
        node.input[:] = [of(n) for n in node.input]
        node.output[:] = [of(n) for n in node.output]
        for attribute in node.attribute:
            for inner in [attribute.g, *attribute.graphs]:
                _rename(inner, known, names)
    for value in [*graph.input, *graph.output]:
        value.name, value.doc_string = of(value.name), ""
    del graph.value_info[:]
