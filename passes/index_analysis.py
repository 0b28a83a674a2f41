"""Index analysis: what integer, boolean and mask tensors hold, as functions of their indices.

    positions = Analysis()
    positions.counted(value)      # Counted(axis=1, offset=0): the value is 0, 1, 2 ... along axis 1
    positions.constant(value)     # 0.0: every element is that
    positions.formula(mask)       # And(k <= q, data[b, k]) as terms over the indices

A value's term is made once, from the terms of what it is computed from. What no rule explains is
data: its elements are reads of the value. Sizes are sizes of the model's inputs; whole numbers are
taken to fit their types where they are made from positions and sizes (below 2^24, as everywhere
in the passes), and are checked where they are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..ir import Graph, Value
from ..ir.dims import Expr, substitute, symbols
from ..ir.types import Tensor
from .index_rules import RULES, parameter
from .index_terms import (
    FORMULAS,
    Both,
    Choice,
    Compare,
    Dim,
    Formula,
    Not,
    Read,
    Sum,
    Term,
    TooLarge,
    moved,
    own,
    slope,
)


@dataclass(frozen=True)
class Counted:
    """`offset + index along axis`, the same along all other axes.

    `data` is an integer tensor to add, which has one element along the axis (None without it):
    where a cache has been filled so far, say.
    """

    axis: int
    offset: Dim
    data: Value | None = None


class Analysis:
    """The terms of values. Valid while the nodes that compute the values stay as they are."""

    def __init__(self) -> None:
        self._known: dict[Value, Term] = {}

    def term(self, value: Value) -> Term:
        """The element at the indices `$0, $1 ...` of the value (0 along axes of size 1)."""
        todo = [value]
        while todo:
            at = todo[-1]
            pending = [v for v in _operands(at) if v not in self._known]
            if pending and at not in self._known:
                todo += pending
                continue
            todo.pop()
            if at not in self._known:
                self._known[at] = self._explained(at)
        return self._known[value]

    def read(self, value: Value, at: tuple[Dim, ...], shape: tuple[Dim, ...]) -> Any:
        """The element of the value at index expressions over the indices of `shape`."""
        to = {f"${axis}": 0 if d == 1 else i for axis, (i, d) in enumerate(zip(at, _shape(value)))}
        return moved(self.term(value), to, shape)

    def formula(self, value: Value) -> Formula:
        """Where a boolean tensor is true."""
        term = self.term(value)
        if not isinstance(term, FORMULAS):
            raise TypeError(f"{value} is no boolean tensor")
        return term

    def constant(self, value: Value) -> bool | int | float | Expr | None:
        """The one number (or size) that all elements are; None where there is none."""
        term = self.term(value)
        if isinstance(term, bool | int | float):
            return term
        inside = isinstance(term, Expr) and any(s.name.startswith("$") for s in symbols(term))
        return term if isinstance(term, Expr) and not inside else None

    def counted(self, value: Value) -> Counted | None:
        """Whether an integer tensor counts 1 by 1 along one axis, and from where."""
        term = self.term(value)
        base = term.base if isinstance(term, Sum) else term
        if not isinstance(base, Expr):
            return None
        axes = {s.name for s in symbols(base) if s.name.startswith("$")}
        if len(axes) != 1 or slope(base, *axes) != 1:
            return None
        (name,) = axes
        data = _added_data(term, value, int(name[1:])) if isinstance(term, Sum) else None
        if isinstance(term, Sum) and data is None:
            return None
        return Counted(int(name[1:]), substitute(base, {name: 0}), data)

    def _explained(self, value: Value) -> Term:
        """The term by the rule of the op, or a read of the value."""
        try:
            term: Term | None = parameter(value) if value.node is None else self._by_rule(value)
        except TooLarge:
            term = None
        if term is not None:
            return term
        at = own(_shape(value))
        read = Read(value, at)
        return read if value.tensor.dtype.value == "bool" else Sum(0, ((read, 1),))

    def _by_rule(self, value: Value) -> Any:
        node = value.node
        rule = RULES.get(node.op) if node else None
        if node is None or rule is None:
            return None
        sizes = any(not isinstance(v.type, Tensor) for v in node.values)
        return None if sizes else rule(self, node, value.index)


def _operands(value: Value) -> list[Value]:
    """The values whose terms the value's own term is made from."""
    node = value.node
    if node is None or node.op not in RULES or not isinstance(value.type, Tensor):
        return []
    return [v for v in node.values if isinstance(v.type, Tensor) and not _is_big_float(v)]


def _is_big_float(value: Value) -> bool:
    """Activations: floats that come out of an op that has no rule are data without a look."""
    return value.tensor.dtype.is_float and value.node is not None and value.node.op not in RULES


def _shape(value: Value) -> tuple[Dim, ...]:
    return value.tensor.shape


def _added_data(term: Sum, value: Value, axis: int) -> Value | None:
    """The integer data of the sum, where it is one read that does not vary along the axis."""
    if len(term.reads) != 1 or term.reads[0][1] != 1:
        return None
    read = term.reads[0][0]
    varies = any(s.name == f"${axis}" for d in read.at for s in symbols(d))
    return None if varies else read.value


def analyse(graph: Graph) -> Analysis:
    """An analysis with the terms of all small tensors of the graph made."""
    analysis = Analysis()
    for node in graph.nodes:
        for value in node.results:
            if isinstance(value.type, Tensor) and not value.tensor.dtype.is_float:
                analysis.term(value)
    return analysis


def describe(term: Any) -> str:
    """The term as text, for logs and tests: `$2 - $3 >= 0 and mask[$0, $3]`."""
    match term:
        case Compare(left, kind):
            return f"{left} {kind} 0"
        case Read(value, at):
            return f"{value.hint or 'data'}[{', '.join(map(str, at))}]"
        case Not(read):
            return f"not {describe(read)}"
        case Both(kind, parts):
            return f" {kind} ".join(
                f"({describe(p)})" if isinstance(p, Both) else describe(p) for p in parts
            )
        case Choice(condition, yes, no):
            return f"({describe(yes)} if {describe(condition)} else {describe(no)})"
        case Sum(base, reads):
            data = [f"{n}*{describe(r)}" if n != 1 else describe(r) for r, n in reads]
            return " + ".join([*([str(base)] if base != 0 else []), *data])
    return str(term)
