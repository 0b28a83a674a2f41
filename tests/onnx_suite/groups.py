"""The cases of ONNX's backend test suite, as the installed onnx has them: nothing is downloaded.

Node cases are made in memory. The other groups are files of the onnx package: models that torch
wrote (`pytorch-converted`, `pytorch-operator`), models made by hand (`simple`), and image
classifiers whose weights are constants that their graphs fill in (`light`), with the outputs for
one input that the suite's own runner describes.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper

GROUPS = ("node", "simple", "pytorch-operator", "pytorch-converted", "light")


@dataclass(frozen=True)
class Suite:
    """A case: its model, and (inputs, outputs) of each run, as arrays or protobuf tensors."""

    name: str
    model: Any
    data: list[tuple[list[Any], list[Any]]]
    rtol: float
    atol: float
    group: str = "node"

    @property
    def inputs(self) -> list[str]:
        """The names that the arrays of a run belong to: without weights that count as inputs."""
        weights = {t.name for t in self.model.graph.initializer}
        return [v.name for v in self.model.graph.input if v.name not in weights]


def all_cases() -> list[Suite]:
    """The cases of all groups, each group in the order of its names but for the first."""
    found = [*node_cases()]
    for group in GROUPS[1:-1]:
        found += sorted(_folders(group), key=lambda case: case.name)
    return [*found, *_light()]


def node_cases() -> list[Suite]:
    """All node cases of the installed onnx, made in memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.loader import load_model_tests

        found = load_model_tests(kind="node")
    return [Suite(c.name, c.model, c.data_sets or [], c.rtol, c.atol) for c in found]


# ---- groups on disk


def _folders(group: str) -> Iterator[Suite]:
    """Cases that are folders: model.onnx beside folders of inputs and outputs."""
    from onnx.backend.test.loader import load_model_tests

    for case in load_model_tests(kind=group):
        folder = Path(case.model_dir)
        model = onnx.load(str(folder / "model.onnx"))
        runs = [_run(model, place) for place in sorted(folder.glob("test_data_set_*"))]
        yield Suite(case.name, model, runs, case.rtol, case.atol, group)


def _run(model: Any, folder: Path) -> tuple[list[Any], list[Any]]:
    parts = []
    for kind, values in (("input", model.graph.input), ("output", model.graph.output)):
        files = [folder / f"{kind}_{i}.pb" for i in range(len(list(folder.glob(f"{kind}_*.pb"))))]
        parts.append([_value(f, v) for f, v in zip(files, values, strict=False)])
    return parts[0], parts[1]


def _value(path: Path, value: Any) -> Any:
    """The array of a file; a list for the kinds that are no tensors."""
    if value.type.WhichOneof("value") != "tensor_type":
        return []
    return onnx.load_tensor(str(path))


def _light() -> Iterator[Suite]:
    """Classifiers without weights of their own, with the tolerances of the group `real`."""
    from onnx.backend.test.loader import DATA_DIR, load_model_tests

    for case in sorted(load_model_tests(kind="real"), key=lambda case: case.name):
        path = Path(DATA_DIR) / "light" / Path(case.url).name
        model = onnx.load(str(path))
        outputs = [
            onnx.load_tensor(str(path.with_name(f"{path.stem}_output_{i}.pb")))
            for i in range(len(model.graph.output))
        ]
        made = Suite(case.name, model, [], case.rtol, case.atol, "light")
        sizes = {v.name: _sizes(v) for v in model.graph.input}
        inputs = [_ramp(sizes[name]) for name in made.inputs]
        yield Suite(case.name, model, [(inputs, outputs)], case.rtol, case.atol, "light")


def _sizes(value: Any) -> tuple[int, ...]:
    return tuple(d.dim_value or 1 for d in value.type.tensor_type.shape.dim)


def _ramp(shape: tuple[int, ...]) -> np.ndarray:
    """The numbers from 0 up to 1 in equal steps: what the suite's runner takes as input."""
    size = int(np.prod(shape))
    return (np.arange(size).reshape(shape) / size).astype(np.float32)
