"""Chains of elementwise ops within one expression: C++ runs each as one compiled kernel.

Such a chain computes the same at every shape, broadcasting included, so that it is compiled once
for all. What is not elementwise (a layer, a matrix product, a variable) is an argument of the
chain; numbers stand in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..ir import tree as t
from ..ir.dims import Expr
from ..ir.types import Tensor
from .bound import Apply, Bound, Local, Member, SlotRef, Typed, Verbatim
from .cpp_names import safe_cpp
from .slots import token

_MX = """abs arccos arccosh arcsin arcsinh arctan arctanh ceil cos cosh erf erfinv exp expm1 floor
isfinite isinf isnan log log10 log1p log2 logical_not reciprocal rsqrt sigmoid sign sin sinh sqrt
square tan tanh maximum minimum logaddexp where clip"""
_NN = """silu gelu gelu_approx gelu_fast_approx relu relu6 leaky_relu hardswish hardsigmoid mish
softplus log_sigmoid elu selu celu"""
_ELEMENTWISE = frozenset(
    [*(f"mx.{n}" for n in _MX.split())]
    + [f"{package}.{n}" for n in _NN.split() for package in ("nn", "runtime")]
)
LEAST = 3  # ops that make a chain worth a kernel of its own; an activation is two
MOST = 6  # arguments


@dataclass(frozen=True)
class Chain:
    """A chain over its own arguments, and what they are: printed as a function and its call."""

    names: tuple[str, ...]
    body: Bound
    arguments: tuple[Bound, ...]


@dataclass(frozen=True)
class Locals:
    """The types of local variables by their numbers, and the names that they get."""

    type: Callable[[int], Tensor | None]
    name: Callable[[int], str]


@dataclass
class _Region:
    """The chain found so far; arguments that occur again are the same one."""

    taken: frozenset[str] = frozenset()  # names of variables that it reads
    arguments: dict[Any, str] = field(default_factory=dict)
    ops: int = 0
    closed: bool = True  # holds nothing that only the method knows, such as a size
    floats: bool = False  # works on floats: masks and positions are made once for all layers

    @property
    def worthwhile(self) -> bool:
        return self.ops >= LEAST and self.closed and self.floats and len(self.arguments) <= MOST


def fuse(tree: Bound, known: Locals) -> Bound:
    """The tree with its chains as `Chain`."""
    if isinstance(tree, Typed):
        return Typed(fuse(tree.of, known), tree.type)
    if _inner(tree) is not None:
        region = _Region()
        body = _grow(tree, region, known)
        taken = frozenset(known.name(a.index) for a in region.arguments if isinstance(a, Local))
        if not taken.isdisjoint(region.arguments.values()):
            region = _Region(taken)
            body = _grow(tree, region, known)
        if region.worthwhile:
            arguments = tuple(fuse(a, known) for a in region.arguments)
            return Chain(tuple(region.arguments.values()), body, arguments)
    return _descend(tree, known)


def _inner(tree: Bound) -> tuple[Bound, ...] | None:
    """The operands of an elementwise op, None for anything else."""
    match tree:
        case t.Infix(operator, left, right) if operator != "@":
            return left, right
        case t.Prefix(_, of) | t.Method(of, "astype"):
            return (of,)
        case t.Call(function, args, kwargs) if function in _ELEMENTWISE and not kwargs:
            return args
    return None


def _grow(tree: Bound, region: _Region, known: Locals) -> Bound:
    """The tree over the chain's own arguments."""
    if isinstance(tree, Typed):
        return (
            Typed(_grow(tree.of, region, known), tree.type)
            if _inner(tree.of)
            else (_argument(tree, tree.type, region))
        )
    if isinstance(tree, Local):
        return _argument(tree, known.type(tree.index), region)
    inner = _inner(tree)
    if inner is None:
        if isinstance(tree, Expr | SlotRef):
            region.closed = False
        elif not isinstance(tree, t.Literal | int | float | None):
            region.closed = False  # an expression of unknown type
        return tree
    region.ops += _weight(tree)
    grown = [_grow(i, region, known) for i in inner]
    match tree:
        case t.Infix(operator):
            return t.Infix(operator, *grown)
        case t.Prefix(operator):
            return t.Prefix(operator, *grown)
        case t.Method(_, name, args):
            return t.Method(grown[0], name, args)
        case t.Call(function):
            return t.Call(function, tuple(grown))
    raise AssertionError(tree)


def _weight(tree: Bound) -> int:
    """How many kernels the op would be."""
    if isinstance(tree, t.Method):
        return 0  # a cast
    return 2 if isinstance(tree, t.Call) and not tree.function.startswith("mx.") else 1


def _argument(tree: Bound, type: Tensor | None, region: _Region) -> Bound:
    if type is None:
        region.closed = False
        return tree
    region.floats = region.floats or type.dtype.is_float
    if tree not in region.arguments:
        region.arguments[tree] = _name(tree, {*region.arguments.values(), *region.taken})
    return Typed(Verbatim(region.arguments[tree]), type)


def _name(tree: Bound, taken: set[str]) -> str:
    """A layer's result goes by the layer's name, a weight and a variable by theirs."""
    of = tree.of if isinstance(tree, Typed) else tree
    if isinstance(of, Local):
        return token("v", of.index)
    of = of.callee if isinstance(of, Apply) else of
    wanted = [s for kind, s in of.steps[-1:] if kind == "attr"] if isinstance(of, Member) else []
    names = [*map(safe_cpp, wanted), "x", "y", "z", "u", "w", "p", "q"]
    return next(n for n in names if n not in taken)


def _descend(tree: Bound, known: Locals) -> Bound:
    """Look for chains in the operands of what is no chain."""
    match tree:
        case Apply(callee, args):
            return Apply(callee, tuple(fuse(a, known) for a in args))
        case t.Infix(operator, left, right):
            return t.Infix(operator, fuse(left, known), fuse(right, known))
        case t.Prefix(operator, of):
            return t.Prefix(operator, fuse(of, known))
        case t.Sequence(items, array_list):
            return t.Sequence(tuple(fuse(i, known) for i in items), array_list)
        case t.Call(function, args, kwargs):
            named = tuple((k, fuse(v, known)) for k, v in kwargs)
            return t.Call(function, tuple(fuse(a, known) for a in args), named)
        case t.Method(of, name, args, kwargs):
            return t.Method(fuse(of, known), name, args, kwargs)
        case t.Index(of, items):
            return t.Index(fuse(of, known), items)
        case t.Element(of, index):
            return t.Element(fuse(of, known), index)
        case t.Keyword(name, of, place):
            return t.Keyword(name, fuse(of, known), place)
    return tree
