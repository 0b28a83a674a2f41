"""The graph: typed SSA values, nodes with scope and source, parameters as recipes.

Values, nodes, scopes and graphs have identity; two graphs are compared through their text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from . import ops
from .dims import Expr, Sym, data_decides, symbol, symbols
from .found import Found
from .op import Unequal
from .recipe import Recipe
from .stated import stated
from .types import Tensor, Type

Immediate = bool | int | float | Expr | None


class Scope:
    """One call of a source module: its path, class, and call number (0 unless called again).

    `names` gives the callee's own names for the values it was called with.
    """

    __slots__ = ("call", "cls", "names", "parent", "path")

    def __init__(self, path: str, cls: str, parent: Scope | None = None, call: int = 0):
        self.path, self.cls, self.parent, self.call = path, cls, parent, call
        self.names: dict[Value, str] = {}

    def __repr__(self) -> str:
        return f"Scope({self.path!r}, {self.cls!r}, call={self.call})"

    def chain(self) -> list[Scope]:
        """From the root to this scope."""
        return [*(self.parent.chain() if self.parent else []), self]

    def contains(self, other: Scope) -> bool:
        return self in other.chain()


class Source:
    """Where a node comes from: file:line of the source framework's code.

    `also` are the lines of other nodes that the node stands for, since a pass put it there.
    """

    __slots__ = ("also", "at")

    def __init__(self, at: str, also: Iterable[str] = ()):
        self.at = at
        self.also = tuple(line for line in dict.fromkeys(also) if line != at)

    @property
    def lines(self) -> tuple[str, ...]:
        return self.at, *self.also


def joined(sources: Iterable[Source | None]) -> Source | None:
    """One source for what stands for nodes of all these; the first is where it is."""
    lines = [line for s in sources if s for line in s.lines]
    return Source(lines[0], lines[1:]) if lines else None


class Value:
    """A typed SSA value. `hint` is the source's own name for it, where there is one."""

    __slots__ = ("hint", "index", "node", "type")

    def __init__(self, type: Type, hint: str = "", node: Node | None = None, index: int = 0):
        self.type, self.hint, self.node, self.index = type, hint, node, index

    @property
    def tensor(self) -> Tensor:
        """The type, where it must be a tensor."""
        if not isinstance(self.type, Tensor):
            raise TypeError(f"{self.hint or 'a value'} is {self.type}, not a tensor")
        return self.type

    def __repr__(self) -> str:
        return f"Value({self.hint!r}, {self.type})"


class Param(Value):
    """A parameter: its path in the target module tree, and how the checkpoint makes it.

    `buffer` marks tensors that a checkpoint of the source library may lack.
    """

    __slots__ = ("buffer", "name", "recipe")

    def __init__(self, name: str, type: Tensor, recipe: Recipe, buffer: bool = False):
        super().__init__(type, name.rsplit(".", 1)[-1])
        self.name, self.recipe, self.buffer = name, recipe, buffer

    def __repr__(self) -> str:
        return f"Param({self.name!r}, {self.type})"


Operand = Value | bool | int | float | Expr | None


class Node:
    """One operation. Operands are values, scalars, dims, or None for one left out.

    `by` are the rewrite rules that made it from others, `via` the passes that made or changed it.
    """

    __slots__ = ("attrs", "by", "op", "operands", "results", "scope", "source", "via")

    def __init__(
        self,
        op: str,
        operands: Iterable[Operand],
        attrs: Mapping[str, Any],
        types: Iterable[Type],
        scope: Scope,
        source: Source | None = None,
        hint: str = "",
    ):
        self.op, self.operands, self.attrs = op, list(operands), dict(attrs)
        self.results = [Value(t, hint, self, i) for i, t in enumerate(types)]
        self.scope, self.source = scope, source
        self.by: tuple[str, ...] = ()
        self.via: tuple[str, ...] = ()

    @property
    def row(self) -> ops.Op:
        return ops.TABLE[self.op]

    @property
    def out(self) -> Value:
        return self.results[0]

    @property
    def values(self) -> list[Value]:
        """The operands that are values."""
        return [v for v in self.operands if isinstance(v, Value)]

    def type(self, index: int) -> Tensor:
        """The tensor type of an operand."""
        operand = self.operands[index]
        if not isinstance(operand, Value):
            raise TypeError(f"operand {index} of {self.op} is {operand!r}, not a tensor")
        return operand.tensor

    def __getitem__(self, attr: str) -> Any:
        return self.attrs[attr]

    def __repr__(self) -> str:
        return f"Node({self.op}, {self.scope.path!r})"


Structure = Any  # a Value, an Immediate, or a tuple, list or dict of structures


def leaves(structure: Structure) -> Iterator[Any]:
    """The values of a nested tuple, list or dict, in order."""
    if isinstance(structure, Mapping):
        structure = list(structure.values())
    if isinstance(structure, tuple | list):
        for item in structure:
            yield from leaves(item)
    else:
        yield structure


def map_structure(fn: Callable[[Any], Any], structure: Structure) -> Structure:
    """The same nesting with `fn` applied to each leaf."""
    if isinstance(structure, Mapping):
        return {k: map_structure(fn, v) for k, v in structure.items()}
    if isinstance(structure, tuple | list):
        return type(structure)(map_structure(fn, v) for v in structure)
    return fn(structure)


# What became part of the code: one number, a range, or a triangle: the last diagonal that has its
# first number, that number, and the one above it.
Numbers = int | range | tuple[int, float, float]


class Graph:
    """A function: named arguments (each a value or a nesting of values), nodes, results.

    `tensors` are the source's, for passes that look at the numbers of a buffer; there are none
    where a graph comes from its text. `facts` are those of them whose numbers became part of the
    code. `flat` marks a graph whose source states no modules.
    """

    __slots__ = (
        "arguments",
        "facts",
        "flat",
        "name",
        "nodes",
        "params",
        "result",
        "root",
        "tensors",
    )

    def __init__(self, name: str, root: Scope | None = None):
        self.name = name
        self.root = root or Scope("", name)
        self.arguments: list[tuple[str, Structure]] = []
        self.nodes: list[Node] = []
        self.params: dict[str, Param] = {}
        self.result: Structure = ()
        self.tensors: Mapping[str, Any] = {}
        self.facts: dict[str, Numbers] = {}
        self.flat = False

    @property
    def inputs(self) -> list[Value]:
        return [v for _, tree in self.arguments for v in leaves(tree) if isinstance(v, Value)]

    @property
    def outputs(self) -> list[Value]:
        return [v for v in leaves(self.result) if isinstance(v, Value)]

    def symbols(self) -> list[Sym]:
        """The free sizes, in order of appearance in the inputs."""
        found: dict[str, Sym] = {}
        for value in self.inputs:
            for dim in value.tensor.shape:
                for sym in sorted(symbols(dim), key=lambda s: s.name):
                    found.setdefault(sym.name, sym)
        return list(found.values())

    def param(self, name: str, type: Tensor, recipe: Recipe, buffer: bool = False) -> Param:
        """The parameter of that name, made when it is new."""
        if name not in self.params:
            self.params[name] = Param(name, type, recipe, buffer)
        return self.params[name]

    def uses(self) -> dict[Value, list[tuple[Node, int]]]:
        """Every use of every value by a node: (node, operand index)."""
        table: dict[Value, list[tuple[Node, int]]] = {}
        for node in self.nodes:
            for i, operand in enumerate(node.operands):
                if isinstance(operand, Value):
                    table.setdefault(operand, []).append((node, i))
        return table

    def replace(self, mapping: Mapping[Value, Operand]) -> None:
        """Put other values in the place of the mapping's keys, everywhere (chains are followed)."""

        def final(value: Any) -> Any:
            while isinstance(value, Value) and value in mapping:
                value = mapping[value]
            return value

        for node in self.nodes:
            node.operands = [final(o) for o in node.operands]
        self.result = map_structure(final, self.result)
        for scope in {s for n in self.nodes for s in n.scope.chain()}:
            scope.names = {
                final(v): name for v, name in scope.names.items() if isinstance(final(v), Value)
            }

    def scopes(self) -> list[Scope]:
        """Every scope that has a node, parents first, in order of first use."""
        seen: dict[Scope, None] = {self.root: None}
        for node in self.nodes:
            for scope in node.scope.chain():
                seen.setdefault(scope, None)
        return list(seen)


class Builder:
    """Appends nodes to a graph at a current scope and source line."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.scope = graph.root
        self.source: Source | None = None
        self.hint = ""
        self.found = Found()

    def op(self, name: str, *operands: Operand, **attrs: Any) -> Any:
        """Add a node; returns its value, or a tuple of values where the op has several results."""
        row = ops.TABLE[name]
        attrs = row.complete(attrs)
        try:
            types = _types(row, operands, attrs)
        except Unequal as equation:
            fitted = self._fitted(operands, equation)
            if fitted is None or row.blocks:
                raise
            return self.op(name, *fitted, **attrs)
        node = Node(name, operands, attrs, types, self.scope, self.source, self.hint)
        self.graph.nodes.append(node)
        return tuple(node.results) if row.several else node.out

    def _fitted(self, operands: Sequence[Operand], equation: Unequal) -> list[Operand] | None:
        """The operands with a size that is data as the size that it must equal, where one has it.

        A reshape says so: it fails where the data says otherwise.
        """
        old, new = equation.left, equation.right
        if data_decides(new) and not data_decides(old):
            old, new = new, old
        if not data_decides(old):
            return None
        fitted = [self._with_size(o, old, new) for o in operands]
        return None if all(a is b for a, b in zip(operands, fitted, strict=True)) else fitted

    def _with_size(self, operand: Operand, old: int | Expr, new: int | Expr) -> Operand:
        if not isinstance(operand, Value) or old not in operand.tensor.shape:
            return operand
        shape = tuple(new if d == old else d for d in operand.tensor.shape)
        fitted: Value = self.op("reshape", operand, shape=shape)
        return fitted

    def size(self, value: Value) -> int | Expr:
        """An integer of rank 0 as a size: the emitted code reads what the data decides."""
        known = stated(value)
        if known is not None:
            return known
        return self.found.once(("size", value), lambda: self._read(value))  # type: ignore[no-any-return]

    def _read(self, value: Value) -> Expr:
        name = self.found.fresh("N")
        self.op("read_size", value, size=name)
        return symbol(name, 0)


def _types(row: ops.Op, operands: Sequence[Operand], attrs: Mapping[str, Any]) -> list[Type]:
    return row.infer_types([o.type if isinstance(o, Value) else o for o in operands], attrs)


class Program:
    """Named graphs that share parameters (one, `forward`, for now)."""

    def __init__(self, graphs: Mapping[str, Graph]):
        self.graphs = dict(graphs)

    @property
    def forward(self) -> Graph:
        return self.graphs["forward"]
