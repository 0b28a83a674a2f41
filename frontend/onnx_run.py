"""Runs the source model: with onnxruntime where it is installed, else with onnx's reference."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import TranspileError


class Runner:
    """The source model, loaded when it first runs. `source` is a path or a ModelProto."""

    def __init__(self, source: Any):
        self.source = source
        self.order: list[str] = []
        self.fixed: Mapping[str, np.ndarray] = {}
        self.drawn: list[str] = []  # the outputs of nodes that draw random numbers
        self.hinted = False  # nodes that allow kernels to round more than the file says
        self._session: Any = None
        self._telling: Any = None  # a session that gives what it draws, too

    def bind(self, order: Sequence[str], fixed: Mapping[str, np.ndarray], names: Any) -> None:
        """The names of the flat inputs, and the inputs that were fixed at capture."""
        self.order, self.fixed = list(order), dict(fixed)

    def run(self, arrays: Sequence[np.ndarray]) -> Any:
        """The outputs on flat inputs: one array, or a tuple in the file's order."""
        if self._session is None:
            self._session = self._load(self.source)
        return _nested(self._run(self._session, arrays))

    def run_drawing(self, arrays: Sequence[np.ndarray]) -> tuple[Any, list[np.ndarray]]:
        """What `run` gives, and the random numbers that `drawn` gave in the same run."""
        if self._telling is None:
            self._telling = self._load(_with_outputs(self.source, self.drawn))
        found = self._run(self._telling, arrays)
        count = len(found) - len(self.drawn)
        return _nested(found[:count]), found[count:]

    def _run(self, session: Any, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        feeds = {**self.fixed, **dict(zip(self.order, arrays, strict=True))}
        known = getattr(session, "get_inputs", None)
        if known is not None:
            names = {i.name for i in known()}
            feeds = {k: v for k, v in feeds.items() if k in names}
        return [np.asarray(o) for o in session.run(None, feeds)]

    def _load(self, source: Any) -> Any:
        try:
            import onnxruntime
        except ImportError:
            return _reference(source)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
        # Its kernels for integers round otherwise, and saturate on some processors: the file says
        # that what stands between two quantizations is computed in floats.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        # Products of unsigned and signed bytes overflow on processors without instructions for
        # them, unless told not to.
        options.add_session_config_entry("session.x64quantprecision", "1")
        if isinstance(self.source, str):  # where the tensors are that the file does not hold
            folder = os.path.dirname(os.path.abspath(self.source))
            options.add_session_config_entry(_FOLDER, folder)
        source = _without_hints(source) if self.hinted else source
        model = source if isinstance(source, str) else source.SerializeToString()
        try:
            return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # an operator that it has not, a newer opset
            return _reference(source, error)


_FOLDER = "session.model_external_initializers_file_folder_path"


def _nested(outputs: list[np.ndarray]) -> Any:
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


def _with_outputs(source: Any, names: Sequence[str]) -> Any:
    """The model with further outputs behind its own; its tensors stay where they are."""
    import onnx

    made = _copy(source)
    known = {o.name for o in made.graph.output}
    for name in names:
        if name in known:  # of the model itself: a copy under another name
            made.graph.node.append(onnx.helper.make_node("Identity", [name], [f"{name}/drawn"]))
            name = f"{name}/drawn"
        made.graph.output.append(onnx.ValueInfoProto(name=name))
    return made


def has_hints(model: Any) -> bool:
    """Whether a node allows its kernel to quantize what it multiplies."""
    return any("accuracy_level" in node.attributes for node in model.graph)


def _without_hints(source: Any) -> Any:
    """The model with nothing that allows kernels to quantize: products in the file's precision."""
    made = _copy(source)
    for node in made.graph.node:
        kept = [a for a in node.attribute if a.name != "accuracy_level"]
        if len(kept) < len(node.attribute):
            del node.attribute[:]
            node.attribute.extend(kept)
    return made


def _copy(source: Any) -> Any:
    """A ModelProto of its own, whose tensors stay where they are."""
    import onnx

    made = onnx.ModelProto()
    path = isinstance(source, str)
    made.CopyFrom(onnx.load(source, load_external_data=False) if path else source)
    return made


def _reference(source: Any, refused: Exception | None = None) -> Any:
    """onnx's own evaluator; `refused` is what onnxruntime says of the model, where it is there."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    try:
        return ReferenceEvaluator(onnx.load(source) if isinstance(source, str) else source)
    except Exception as error:
        said = next(iter(str(refused or error).splitlines()), "")
        raise TranspileError(
            f"the source model does not run: {said}",
            hint="save it again; onnx.checker says more" if refused else "pip install onnxruntime",
        ) from None
