"""Runs the source of an export: the exported graph node by node, or the module itself."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..ir import Graph
from .arrays import to_numpy, to_torch
from .draws import Draws
from .export_trace import Scopes
from .narrow_run import NarrowRun, narrow_run

Outputs = dict[tuple[str, int], list[np.ndarray]]


class Source(Protocol):
    """What a runner needs of the exported program."""

    module: Any
    same: dict[str, str]

    def operands(self, tensors: Sequence[Any]) -> list[Any]: ...

    def arguments(self, flat: list[Any]) -> list[tuple[str, Any]]: ...

    def arrays(self, flat: Sequence[Any]) -> Any: ...


class Runner(Protocol):
    draws: Draws

    def run(self, inputs: Sequence[np.ndarray]) -> Any:
        """The model's result, nested, as arrays."""

    def module_outputs(self, inputs: Sequence[np.ndarray]) -> Outputs:
        """For every module call the arrays that it returned."""

    def narrow(self) -> NarrowRun | None:
        """Runs in half precision, where there can be any."""


class GraphRunner:
    """Runs the exported graph on the CPU. Assertions are left out: sizes are checked elsewhere."""

    def __init__(self, source: Source):
        self.source, self.draws = source, Draws()

    def run(self, inputs: Sequence[np.ndarray]) -> Any:
        return self.source.arrays(self._run(inputs))

    def narrow(self) -> None:
        """None: an exported graph has its dtypes in it."""

    def module_outputs(self, inputs: Sequence[np.ndarray]) -> Outputs:
        """For every module call the tensors that it computed and others read."""
        scopes = Scopes(Graph("root"), self.source.same)
        nodes = self.source.module.graph.nodes
        where = {
            n: scopes.enter(n.meta.get("nn_module_stack")).chain()
            for n in nodes
            if n.op not in ("placeholder", "get_attr", "output")
        }
        leaving = {n: _left(n, where) for n in where}
        found: Outputs = {}

        def watch(node: Any, result: Any) -> None:
            for scope in leaving.get(node, ()):
                found.setdefault((scope.path, scope.call), []).extend(_arrays(result))

        self._run(inputs, watch)
        return found

    def _run(self, inputs: Sequence[np.ndarray], watch: Any = None) -> list[Any]:
        import torch

        operands = self.source.operands([to_torch(a) for a in inputs])
        with torch.no_grad(), self.draws.watch():
            return list(_interpreter(self.source.module, watch).run(*operands))


def _interpreter(module: Any, watch: Callable[[Any, Any], None] | None) -> Any:
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


def _left(node: Any, where: Mapping[Any, Any]) -> list[Any]:
    """The scopes of the node that one of its users is outside of."""
    inner = where[node][1:]
    return [s for s in inner if any(s not in where.get(user, ()) for user in node.users)]


def _arrays(result: Any) -> list[np.ndarray]:
    """Copies of the tensors in a nested result: later writes must not change what was seen."""
    from torch.utils._pytree import tree_leaves

    return [to_numpy(t.clone()) for t in tree_leaves(result) if hasattr(t, "untyped_storage")]


class EagerRunner:
    """Runs the module that was exported."""

    def __init__(self, source: Source, module: Any, call: tuple[tuple[Any, ...], dict[str, Any]]):
        self.source, self.module, self.call, self.draws = source, module, call, Draws()

    def run(self, inputs: Sequence[np.ndarray]) -> Any:
        from torch.utils._pytree import tree_leaves

        return self.source.arrays(tree_leaves(self._run(inputs)))

    def module_outputs(self, inputs: Sequence[np.ndarray]) -> Outputs:
        """For every module call the arrays that it returned.

        None where the module computes something else while it is watched: hooks turn the fast
        paths of torch's own layers off, which treat rows that are all masked in another way.
        """
        found: Outputs = {}
        counts: dict[str, int] = {}
        handles = [
            module.register_forward_hook(_recorder(name, found, counts))
            for name, module in self.module.named_modules()
            if name
        ]
        try:
            watched = _arrays(self._run(inputs))
        finally:
            for handle in handles:
                handle.remove()
        plain = _arrays(self._run(inputs))
        same = all(_alike(a, b) for a, b in zip(watched, plain, strict=True))
        return found if same else {}

    def narrow(self) -> NarrowRun:
        from torch.utils._pytree import tree_leaves

        return narrow_run(
            lambda: copy.deepcopy(self.module),
            self._nest,
            lambda result: self.source.arrays(tree_leaves(result)),
        )

    def _nest(self, tensors: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of the call with other tensors."""
        from torch.utils._pytree import tree_flatten, tree_unflatten

        given = iter(tensors)
        leaves, spec = tree_flatten(self.call)
        flat = [next(given) if hasattr(leaf, "untyped_storage") else leaf for leaf in leaves]
        args, kwargs = tree_unflatten(flat, spec)
        return args, kwargs

    def _run(self, inputs: Sequence[np.ndarray]) -> Any:
        import torch

        args, kwargs = self._nest([to_torch(a) for a in inputs])
        with torch.no_grad(), self.draws.watch():
            return self.module(*args, **kwargs)


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal but for rounding."""
    if not np.issubdtype(a.dtype, np.inexact):
        return np.array_equal(a, b)
    return np.allclose(a, b, rtol=1e-3, atol=1e-3 * float(np.abs(b).max(initial=0)), equal_nan=True)


def _recorder(name: str, found: Outputs, counts: dict[str, int]) -> Callable[..., None]:
    def hook(module: Any, args: Any, result: Any) -> None:
        number = counts[name] = counts.get(name, -1) + 1
        found[name, number] = _arrays(result)

    return hook
