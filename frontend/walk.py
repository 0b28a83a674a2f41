"""Walks a saved module's own graphs, through its calls of methods and functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import TranspileError
from ..ir import Scope, Source
from .domain import Domain
from .plan import Block, Instruction, read_graph


@dataclass(frozen=True)
class Module:
    """A module of the archive: its path and its torch object."""

    path: str
    raw: Any

    @property
    def cls(self) -> str:
        """The class as the user named it: saved classes are mangled in a part before the last."""
        return self.raw._type().qualified_name().rsplit(".", 1)[-1]


@dataclass
class Plans:
    """Plans of methods and functions, read when first met and kept over walks."""

    functions: Callable[[str], Any]
    methods: dict[tuple[str, str], Block] = field(default_factory=dict)
    by_name: dict[str, Block] = field(default_factory=dict)

    def method(self, module: Module, name: str) -> Block:
        key = (module.path, name)
        if key not in self.methods:
            self.methods[key] = read_graph(module.raw._get_method(name).graph)
        return self.methods[key]

    def function(self, name: str) -> Block:
        if name not in self.by_name:
            found = self.functions(name)
            if found is None:
                raise TranspileError(
                    f"the archive calls the function {name}, which it does not hold"
                )
            self.by_name[name] = read_graph(found.graph)
        return self.by_name[name]


class Frame:
    """A method or function being executed."""

    __slots__ = ("env", "module", "scope")

    def __init__(self, module: Module, scope: Scope):
        self.module, self.scope = module, scope
        self.env: dict[str, Any] = {}


Enter = Callable[[Scope, Block, list[Any]], None]
Leave = Callable[[Scope, Any], None]


class Walk:
    """Executes plans in a domain. `enter` and `leave` are told of every module call."""

    def __init__(
        self,
        domain: Domain,
        plans: Plans,
        enter: Enter,
        leave: Leave,
        position: Callable[[Frame, Instruction], None],
    ):
        self.domain, self.plans = domain, plans
        self.enter, self.leave, self.position = enter, leave, position
        self.calls: Counter[str] = Counter()

    def run(self, root: Module, scope: Scope, method: str, args: list[Any]) -> Any:
        """The method's result on the arguments (without `self`)."""
        return self._call(root, scope, method, args)

    def _call(self, module: Module, scope: Scope, method: str, args: list[Any]) -> Any:
        plan = self.plans.method(module, method)
        self.enter(scope, plan, args)
        result = self._execute(plan, Frame(module, scope), [module, *args])
        self.leave(scope, result)
        return result

    def call_method(self, frame: Frame, target: Module, method: str, args: list[Any]) -> Any:
        """A call of a sub-module opens a scope; one of the same module's methods does not."""
        if target.path == frame.module.path:
            plan = self.plans.method(target, method)
            return self._execute(plan, Frame(target, frame.scope), [target, *args])
        number = self.calls[target.path]
        self.calls[target.path] += 1
        return self._call(target, Scope(target.path, target.cls, frame.scope, number), method, args)

    def call_function(self, frame: Frame, name: str, args: list[Any]) -> Any:
        plan = self.plans.function(name)
        return self._execute(plan, Frame(frame.module, frame.scope), args)

    def _execute(self, plan: Block, frame: Frame, args: list[Any]) -> Any:
        results = self.block(plan, frame, args)
        return results[0] if len(results) == 1 else tuple(results)

    def block(self, block: Block, frame: Frame, args: list[Any]) -> list[Any]:
        """The block's outputs."""
        from .prims import execute

        env = frame.env
        env.update(zip(block.inputs, args))
        for instruction in block.code:
            values = [env[name] for name in instruction.inputs]
            self.position(frame, instruction)
            results = execute(self, frame, instruction, values)
            env.update(zip(instruction.outputs, results))
        return [env[name] for name in block.outputs]


def source_of(instruction: Instruction) -> Source | None:
    return Source(instruction.at) if instruction.at else None


def where(frame: Frame, op: Instruction) -> str:
    """Module path, or class, and source line."""
    return f"{frame.scope.path or frame.scope.cls}" + (f" at {op.at}" if op.at else "")
