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
        self._session: Any = None

    def bind(self, order: Sequence[str], fixed: Mapping[str, np.ndarray], names: Any) -> None:
        """The names of the flat inputs, and the inputs that were fixed at capture."""
        self.order, self.fixed = list(order), dict(fixed)

    def run(self, arrays: Sequence[np.ndarray]) -> Any:
        """The outputs on flat inputs: one array, or a tuple in the file's order."""
        feeds = {**self.fixed, **dict(zip(self.order, arrays, strict=True))}
        outputs = [np.asarray(o) for o in self._run(feeds)]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _run(self, feeds: dict[str, np.ndarray]) -> Sequence[Any]:
        if self._session is None:
            self._session = self._load()
        known = getattr(self._session, "get_inputs", None)
        if known is not None:
            names = {i.name for i in known()}
            feeds = {k: v for k, v in feeds.items() if k in names}
        found: Sequence[Any] = self._session.run(None, feeds)
        return found

    def _load(self) -> Any:
        try:
            import onnxruntime
        except ImportError:
            return self._reference()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
        # Its kernels for integers round otherwise, and saturate on some processors: the file says
        # that what stands between two quantizations is computed in floats.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        source = self.source if isinstance(self.source, str) else self.source.SerializeToString()
        try:
            return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except Exception:  # an operator that it has not, a newer opset
            return self._reference()

    def _reference(self) -> Any:
        import onnx
        from onnx.reference import ReferenceEvaluator

        try:
            model = onnx.load(self.source) if isinstance(self.source, str) else self.source
            return ReferenceEvaluator(model)
        except Exception as error:
            raise TranspileError(
                f"the source model does not run: {error}", hint="pip install onnxruntime"
            ) from None
