"""Runs an exported program, node by node, without its guards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..ir import Graph
from .arrays import to_numpy, to_torch
from .export_trace import Scopes

Outputs = dict[tuple[str, int], list[np.ndarray]]


def interpreter(module: Any, watch: Callable[[Any, Any], None] | None = None) -> Any:
    """An interpreter of the graph on the CPU. Assertions are left out: sizes are checked elsewhere."""
    import torch

    class Interpreter(torch.fx.Interpreter):
        def run_node(self, node: Any) -> Any:
            result = super().run_node(node)
            if watch:
                watch(node, result)
            return result

        def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
            if "_assert" in str(target) or "sym_constrain" in str(target):
                return None
            args = tuple(_on_cpu(a) for a in args)
            return super().call_function(target, args, {k: _on_cpu(v) for k, v in kwargs.items()})

    return Interpreter(module)


def _on_cpu(value: Any) -> Any:
    import torch

    return torch.device("cpu") if isinstance(value, torch.device) else value


class Runner:
    """Runs the graph module of a program. `operands` gives all placeholder values for flat inputs."""

    def __init__(self, module: Any, operands: Callable[[list[Any]], list[Any]], nest: Callable[[list[Any]], Any]):
        self.module, self.operands, self.nest = module, operands, nest

    def __call__(self, inputs: Sequence[np.ndarray]) -> Any:
        """The program's result, nested, as arrays."""
        return self.nest(self._run(inputs))

    def module_outputs(self, inputs: Sequence[np.ndarray], same: Mapping[str, str]) -> Outputs:
        """For every module call the tensors that it computes and others read."""
        scopes = Scopes(Graph("root"), same)
        nodes = [n for n in self.module.graph.nodes if n.op not in ("placeholder", "get_attr")]
        where = {n: scopes.enter(n.meta.get("nn_module_stack")).chain() for n in nodes if n.op != "output"}
        leaving = {n: _left(n, where) for n in where}
        found: Outputs = {}

        def watch(node: Any, result: Any) -> None:
            for scope in leaving.get(node, ()):
                found.setdefault((scope.path, scope.call), []).extend(_arrays(result))

        self._run(inputs, watch)
        return found

    def _run(self, inputs: Sequence[np.ndarray], watch: Any = None) -> list[Any]:
        import torch

        with torch.no_grad():
            tensors = [to_torch(a) for a in inputs]
            return list(interpreter(self.module, watch).run(*self.operands(tensors)))


def _left(node: Any, where: Mapping[Any, Any]) -> list[Any]:
    """The scopes of the node that one of its users is outside of."""
    return [
        scope
        for scope in where[node][1:]
        if any(scope not in where.get(user, ()) for user in node.users)
    ]


def _arrays(result: Any) -> list[np.ndarray]:
    import torch

    return [to_numpy(result.clone())] if isinstance(result, torch.Tensor) else []
