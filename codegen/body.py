"""The body of one module call as lines of code with placeholders.

A body is printed once for every call in the model. What may differ between calls of one class, or
is named only later, stands as a token: slots (sizes and scalars), local variables, local dims, and
classes. Two calls are of one class exactly when their texts are the same: then they compute the
same function of inputs, weights and slots.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ..ir import Node, Param, Scope, Tensor, Value
from ..ir.blocks import all_nodes, blocks
from ..ir.dims import Expr, data_decides
from ..ir.draws import draws_inside
from ..ir.graph import leaves, map_structure
from ..ir.tree import Infix, Method
from ..ir.types import DType
from .bound import (
    Apply,
    Binder,
    Bound,
    Local,
    Member,
    Pick,
    SlotRef,
    Typed,
    Verbatim,
    bind,
    plain_scalar,
    untyped,
)
from .control import find_size, holder, print_control
from .local_dims import LocalDims
from .loops import Loop, Turn, find_loops
from .modules import Modules
from .named_sizes import name_sizes
from .names import ORDINALS, VIEWS, role_of, says_something
from .regions import Region, under
from .render import render_tree
from .slots import (
    Mark,
    MarkedFloat,
    MarkedInt,
    Slot,
    is_field,
    length,
    mark_node,
    marked,
    power_of,
    token,
)
from .statements import Assign, For, Open, Return, Statement, Target, python_lines
from .widths import Widths, key
from .writes import WRITES, is_new, print_write

INLINE = 60  # a single-use expression longer than this gets a name
BESIDE = 50  # one that stands beside others: in a sum, among several results
LINE = 66  # what an assignment has room for: a chain of methods that is longer is cut


@dataclass
class Variable:
    """A local variable of the body and what is known for naming it."""

    hints: list[str] = field(default_factory=list)
    type: Tensor | None = None
    whole: bool = False  # its name is its own in the whole method


@dataclass
class Hints:
    """The source's names: of values, and of each argument (the best first)."""

    values: dict[Value, str] = field(default_factory=dict)
    inputs: list[list[str]] = field(default_factory=list)


@dataclass
class Body:
    """Lines of one call: (indent, code).

    `inputs` enter as local variables, `sizes.passed` as ints that the caller passes. `origins` are
    the nodes and calls that each statement computes.
    """

    region: Region
    inputs: list[Value] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    lines: list[tuple[int, str]] = field(default_factory=list)
    origins: list[list[Node | Region]] = field(default_factory=list)
    line_origins: list[list[Node | Region]] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    locals: list[Variable] = field(default_factory=list)
    sizes: LocalDims = field(default_factory=LocalDims)
    input_locals: list[int] = field(default_factory=list)
    local_of: dict[Value, int] = field(default_factory=dict)  # of every input, nested ones too
    opened: int = 0  # how many of the first lines take nested arguments apart
    helpers: list[str] = field(default_factory=list)
    blocks: list[list[Statement]] = field(default_factory=list)  # those that are open

    def add(self, statement: Statement, items: list[Node | Region] | None = None) -> None:
        if self.blocks:
            self.blocks[-1].append(statement)
            return
        self.statements.append(statement)
        lines = python_lines(statement)
        self.lines += lines
        self.origins.append(list(items or ()))
        self.line_origins += [self.origins[-1] for _ in lines]

    def rewrite(self, statements: list[Statement], origins: list[list[Node | Region]]) -> None:
        """Put these statements in the place of all."""
        self.statements, self.lines, self.origins, self.line_origins = [], [], [], []
        for statement, items in zip(statements, origins, strict=True):
            self.add(statement, items)

    @contextmanager
    def nested(self) -> Iterator[list[Statement]]:
        """Statements that are added inside are those of a block."""
        self.blocks.append([])
        try:
            yield self.blocks[-1]
        finally:
            self.blocks.pop()

    def text(self) -> str:
        return "\n".join(f"{'    ' * depth}{code}" for depth, code in self.lines)

    def axes_read(self) -> str:
        """Which axes of the inputs the sizes in the text are, and of how many: a line each."""
        text = self.text()
        read = [
            (i, s, self.inputs[s.argument].tensor.rank)
            for i, s in enumerate(self.sizes.sources)
            if s.argument >= 0 and token("d", i) in text
        ]
        return "".join(f"\nsize {i}: {s.argument}, axis {s.axis} of {n}" for i, s, n in read)


class BodyBuilder:
    """Prints the items of a region."""

    def __init__(
        self,
        region: Region,
        widths: Widths,
        modules: Modules,
        bodies: dict[Region, Body],
        roles: dict[Value, str],
        hints: Hints | None = None,
    ):
        """Without hints the body is canonical: the source's names have no part in it."""
        self.region, self.widths, self.modules, self.bodies = region, widths, modules, bodies
        self.body = Body(region)
        self.ids: dict[Value, int] = {}
        self.pending: dict[Value, Bound] = {}
        self.deferred: dict[Value, list[Node | Region]] = {}  # what the pending ones compute
        self.drawing: set[Value] = set()  # the pending one that draws random numbers, if any
        self.draws = False  # whether the expression that is being bound does
        self.computed: list[Node | Region] = []  # by the expression that is being bound
        self.aliases: dict[Value, Value] = {}  # what blocks call a weight of the module
        self.scopes: set[Scope] = set()  # of blocks
        self.successors: dict[Value, int] = {}  # the local that a value may take over
        self.owned: set[int] = set()  # locals whose array nothing else has
        self.listed: set[int] = set()  # locals that are lists of rows
        self.fresh = modules.plan.fresh
        self.root = region.parent is None
        self.single = False  # whether the method returns one value
        self.roles = roles
        self.hints = hints or Hints()

    # ---- inputs and dims

    def build(self, arguments: list[tuple[str, Any]] | None, result: Any) -> Body:
        """The body; the root region has the graph's arguments and result structure."""
        body = self.body
        body.inputs = list(self.region.inputs)
        self._count_uses(result)
        self.single = isinstance(result, Value) if self.root else len(self.region.outputs) == 1
        if arguments is not None:
            self._open_arguments(arguments)
        else:
            for i, value in enumerate(body.inputs):
                names = self.hints.inputs[i] if self.hints.inputs else []
                body.input_locals.append(self._local(value, *names))
        body.local_of = {v: self.ids[v] for v in body.inputs if v in self.ids}
        body.opened = len(body.lines)
        body.sizes.read(body.inputs)
        for step in find_loops(self.region, self.bodies, self.modules):
            self._step(step)
        self._return(result)
        name_sizes(body)
        return body

    def _open_arguments(self, arguments: list[tuple[str, Any]]) -> None:
        """Locals for the arguments; nested ones are taken apart first."""
        opened: list[Open] = []
        for name, tree in arguments:
            if isinstance(tree, Value):
                self.body.input_locals.append(self._local(tree, name))
                continue
            whole = self._new_local(name)
            self.body.input_locals.append(whole)
            opened += self._unpack(tree, Local(whole), (), name)
        for statement in opened:
            self.body.add(statement)

    def _unpack(self, tree: Any, whole: Local, path: tuple[Any, ...], name: str) -> list[Open]:
        """Take a nested argument, or the part of it at the path, apart."""
        if isinstance(tree, dict):
            named = [(str(key), key, item) for key, item in tree.items()]
        else:
            ordinals = [o.lower() for o in ORDINALS] + ["further"] * len(tree)
            named = [(f"{ordinals[i]}_{name}", i, part) for i, part in enumerate(tree)]
            if all(isinstance(item, Value) for item in tree):
                targets = tuple(Local(self._local(item, part)) for part, _, item in named)
                return [Open(targets, whole, path)]
        opened = []
        for part, step, item in named:
            if isinstance(item, Value):
                opened.append(Open(Local(self._local(item, part)), whole, (*path, step)))
            elif item is not None:
                opened += self._unpack(item, whole, (*path, step), part)
        return opened

    def _new_local(self, *hints: str) -> int:
        self.body.locals.append(Variable([h for h in hints if h]))
        return len(self.body.locals) - 1

    def _local(self, value: Value, *hints: str) -> int:
        if value not in self.ids:
            own = self.hint(value)
            proved = self.roles.get(value, "") if value not in self.region.inputs else ""
            ahead = "" if own or value in self.region.inputs else self._hint_ahead(value)
            viewed = self._viewed(value)
            self.ids[value] = self._new_local(proved, *hints, own, ahead, *viewed, *role_of(value))
            self.body.locals[self.ids[value]].type = value.tensor
        return self.ids[value]

    def hint(self, value: Value) -> str:
        """The source's name for the value, "" where it has none."""
        if isinstance(value, Param):
            return value.name.replace(".", "_")
        return self.hints.values.get(value, "")

    def _viewed(self, value: Value) -> list[str]:
        """The names of the local that the value is a view of."""
        node = value.node if value not in self.region.inputs else None
        source = node.values[0] if node is not None and node.op in VIEWS else None
        return self.body.locals[self.ids[source]].hints if source in self.ids else []

    def _hint_ahead(self, value: Value) -> str:
        """The name of what an unnamed value becomes: that of the end of the chain of its single
        uses.
        """
        for _ in range(8):
            user = self.user.get(value)
            if self.counts[value] != 1 or not isinstance(user, Node) or len(user.results) != 1:
                return ""
            if sum(not isinstance(v, Param) for v in user.values) != 1:
                return ""
            value = user.out
            if self.hint(value) or value in self.roles:
                return self.roles.get(value, self.hint(value))
        return ""

    def dim(self, dim: Expr) -> int | Expr:
        if self.fresh:
            for name in self.body.sizes.unknown(dim):
                if name in self.fresh:
                    find_size(self, name)
                    if self.root and name in self.body.sizes.unknown(dim):
                        raise KeyError(f"the size {name} is in no variable's shape")
        return self.body.sizes.express(dim)

    # ---- what writes ask for

    def marked(self, node: Node) -> Node:
        return self._shadow(node)

    def number(self, value: Any) -> Bound:
        """A number or size of a marked node."""
        return self.dim(value) if isinstance(value, Expr) else self._scalar(value, None)

    def own(self, value: Value) -> Local:
        """A variable for the value, whose array nothing else has."""
        local = Local(self._local(value))
        self.owned.add(local.index)
        return local

    def take(self, value: Value, local: Local) -> None:
        """The value goes where another one was."""
        self.ids[value] = local.index
        self.body.locals[local.index].hints += [self.hint(value)] if self.hint(value) else []

    def update(self, node: Node, *operands: Bound) -> Bound:
        """The expression of a node with these for its operands."""
        return bind(node.row.tree(node), replace(self._binder(node), operand=operands.__getitem__))

    # ---- what blocks ask for

    def step(self, node: Node) -> None:
        self._step(node)

    def expression(self, node: Node) -> Bound:
        return self._node(node)

    def helper(self, name: str) -> None:
        self._helper(name)

    def variable(self, tree: Bound, *hints: str, type: Tensor | None = None) -> Local:
        """A new variable that holds the tree's value."""
        local = Local(self._new_local(*hints))
        self.body.locals[local.index].type = type
        self.body.add(Assign(local, tree), self.computed)
        return local

    def result(self, value: Value) -> Local | None:
        """The variable of a value that blocks give, where something reads it or its shape."""
        sizes = {str(d) for d in value.tensor.shape} & self.modules.plan.computed
        return Local(self._local(value)) if self.counts[value] or sizes else None

    def rows(self, value: Value) -> Local | None:
        """A list for the rows of the value."""
        if self.result(value) is None:
            return None
        local = self._new_local(
            *(f"{h}_list" for h in (self.hint(value), *self._viewed(value)) if h), "rows"
        )
        self.body.locals[local].whole = True
        return Local(local)

    def only_here(self, value: Value) -> bool:
        """Whether the value's variable is free to change where the value is read."""
        own = value in self.region.inputs or (value.node is not None and value in self.ids)
        return own and self.counts[value] == 1 and value not in self.aliases

    def mentions(self, statements: Sequence[Statement], size: Expr) -> bool:
        return any(str(size) in code for s in statements for _, code in python_lines(s))

    # ---- values

    def _count_uses(self, result: Any) -> None:
        self.counts: Counter[Value] = Counter()
        items = [i for item in self.region.items for i in _with_blocks(item)]
        for item in items:
            self.counts.update(item.values if isinstance(item, Node) else item.inputs)
            for block in blocks(item) if isinstance(item, Node) else ():
                self.counts.update(block.outputs)
        self.counts.update(
            v
            for v in (leaves(result) if self.root else self.region.outputs)
            if isinstance(v, Value)
        )
        self.user: dict[Value, Any] = {}
        for item in items:
            for value in item.values if isinstance(item, Node) else item.inputs:
                self.user[value] = item

    def value(self, value: Value) -> Bound:
        """The value where it is used: its variable, its weight, or the expression itself."""
        value = self.aliases.get(value, value)
        if value in self.pending:
            self.draws |= value in self.drawing
            return self._taken(value)
        if isinstance(value, Param) and under(self.region.path, value.name):
            return Typed(self.modules.member(self.region.path, value.name), value.tensor)
        if value not in self.ids:
            raise KeyError(
                f"{value!r} is used in {self.region.path or 'the root'} before it is defined"
            )
        return Local(self.ids[value])

    def _taken(self, value: Value) -> Bound:
        """The expression of a pending value, which is computed with what is bound now."""
        self.drawing.discard(value)
        self.computed += self.deferred.pop(value)
        return self.pending.pop(value)

    def assign(self, values: list[Value], tree: Bound, nesting: tuple[Any, ...] = ()) -> None:
        """Name the results of an item, or keep a single-use expression for its place of use.

        `nesting` tells how the call nests its results, where they are no flat tuple.
        """
        if len(values) == 1 and self._inlines(values[0], tree):
            self.pending[values[0]] = Typed(tree, values[0].tensor)
            self.deferred[values[0]] = self.computed
            if self.draws:
                self.drawing.add(values[0])
            return
        for value in values:
            self._take_over(value)
        targets = [self.result(v) if self.fresh or self.counts[v] else None for v in values]
        if nesting:
            target = _nested(nesting, targets)
        else:
            target = targets[0] if len(targets) == 1 else tuple(targets)
        self.body.add(Assign(target, tree), self.computed)
        if isinstance(target, Local) and is_new(tree):
            self.owned.add(target.index)

    def _inlines(self, value: Value, tree: Bound) -> bool:
        if self.counts[value] != 1:
            return False
        user = self.user.get(value)
        if self.fresh and self._finds_size(value):
            return False
        inner = value.node is not None and value.node.scope in self.scopes
        if user is None and inner:
            return True  # what a block gives
        if isinstance(user, Node) and user.row.blocks and user.operands[0] is not value:
            return False
        if user is None and self.single:
            return True  # all that the method returns
        size = length(render_tree(tree).code)
        if size > INLINE or size + self._added(value, tree, user) > LINE:
            return False
        if self._beside(user) and (size > BESIDE or size + self._waiting(user) > LINE):
            return False
        if user is None:
            return True
        if user in self.looped:
            return False
        if value.node is None or (value.node.scope is not self.region.scope and not inner):
            return True  # what a module returns
        if not says_something(self.hint(value)) and value not in self.roles:
            return True
        if value in self.roles:
            used = user.results if isinstance(user, Node) else ()
            return any(self.roles.get(v) == self.roles[value] for v in used)
        after = user.results if isinstance(user, Node) else user.outputs
        return len(after) == 1 and self.hint(after[0]) == self.hint(value)

    def _beside(self, user: Any) -> bool:
        """Whether the place where a value is used has more in the line."""
        if user is None:
            return not self.root and not self.single
        return isinstance(user, Node) and isinstance(user.row.tree(user), Infix)

    def _waiting(self, user: Any) -> int:
        """The length of the expressions that wait for the same place."""
        operands = user.values if isinstance(user, Node) else self.region.outputs
        waiting = [self.pending[v] for v in operands if v in self.pending]
        return sum(length(render_tree(tree).code) for tree in waiting)

    def _added(self, value: Value, tree: Bound, user: Any) -> int:
        """By how much a view is longer than the chain of calls that it continues."""
        chain = isinstance(tree, Method) and not isinstance(untyped(tree.of), Local)
        if not chain or not isinstance(user, Node) or user.op not in VIEWS:
            return 0
        view = self._shadow(user)
        binder = Binder(lambda i: Verbatim(""), self.dim, lambda i, axis: 0, _size_or_number)
        return length(render_tree(bind(view.row.tree(view), binder)).code)

    def _take_over(self, value: Value) -> None:
        """The next value of a carried variable goes there unless the old one is still to read."""
        local = self.successors.get(value)
        if local is None or value in self.ids:
            return
        old = token("v", local)
        if not any(old in render_tree(tree).code for tree in self.pending.values()):
            self.ids[value] = local

    def _finds_size(self, value: Value) -> bool:
        """Whether the value's shape gives a size that is not known before."""
        named = {str(d) for d in value.tensor.shape} & self.modules.plan.computed
        return any(not self.body.sizes.has(n) and not holder(self, n) for n in named)

    # ---- steps

    @property
    def looped(self) -> set[Any]:
        if not hasattr(self, "_looped"):
            steps = find_loops(self.region, self.bodies, self.modules)
            self._looped = {r for s in steps if isinstance(s, Loop) for r in s.regions}
        return self._looped

    def _step(self, step: Any) -> None:
        self.draws = _draws(step)
        if self.draws:
            self._settle()
        self.computed = [] if isinstance(step, Loop) else [step]
        if isinstance(step, Node) and (step.row.blocks or step.op == "read_size"):
            print_control(self, step)
        elif isinstance(step, Node) and step.op in WRITES and not self.body.blocks:
            print_write(self, step)
        elif isinstance(step, Node):
            self.assign(step.results, self._node(step))
        elif isinstance(step, Loop):
            self._loop(step)
        else:
            call = self._call(step, self.modules.member(self.region.path, step.path))
            if step.layer is not None:
                self.assign(step.items[0].results, call, step.layer.results)
            else:
                self.assign(step.outputs, call)

    def _settle(self) -> None:
        """Name what has drawn: random numbers are drawn statement by statement, in their order.

        Within an expression C++ has no order, and Python's need not be that of the source.
        """
        for value in list(self.drawing):
            self.computed = []
            tree = self._taken(value)
            self.body.add(Assign(Local(self._local(value)), tree), self.computed)

    def _call(self, region: Region, callee: Member) -> Apply:
        if region.layer is not None and region.layer.inputs is not None:
            node = region.items[0]
            assert isinstance(node, Node)
            binder = self._binder(node)
            return Apply(callee, tuple(bind(t, binder) for t in region.layer.inputs))
        args = [self.value(v) for v in self._call_inputs(region)]
        if region in self.bodies:
            args += [self.dim(d) for d in self.bodies[region].sizes.passed]
        return Apply(callee, tuple(args))

    def _call_inputs(self, region: Region) -> list[Value]:
        if region.layer is None:
            return region.inputs
        node = region.items[0]
        assert isinstance(node, Node)
        weights = {i for i, _ in region.layer.params}
        return [o for i, o in enumerate(node.operands) if i not in weights and isinstance(o, Value)]

    def _loop(self, loop: Loop) -> None:
        """`for layer in self.layers: h = layer(h, mask)`: carried values share one variable."""
        first, final = loop.regions[0], loop.regions[-1]
        carried: dict[int, int] = {}
        for position, output in loop.carried.items():
            start = first.inputs[position]
            tree = self.value(start)
            outputs = [h for r in loop.regions if (h := self.hint(r.outputs[output]))]
            if self.counts[start] == 1 and isinstance(tree, Local):
                local = tree.index
                self.body.locals[local].hints[:0] = outputs
            else:
                local = self._new_local(*outputs, self.hint(start))
                self.body.add(Assign(Local(local), tree), self.computed)
                self.computed = []
            self.body.locals[local].type = start.tensor
            carried[output] = local
        by_position = {p: carried[o] for p, o in loop.carried.items()}
        counter = Local(self._new_local("i", "turn")) if loop.turns else None
        args = [
            Local(by_position[i])
            if i in by_position
            else self._pick(counter, loop.turns[i])
            if counter is not None and i in loop.turns
            else self.value(v)
            for i, v in enumerate(first.inputs)
        ]
        args += [self.dim(d) for d in self.bodies[first].sizes.passed]
        for o in range(len(final.outputs)):
            carried.setdefault(o, self._new_local(self.hint(final.outputs[o])))
            self.ids[final.outputs[o]] = carried[o]
        each = Local(self._new_local(*singular(loop.container)))
        targets = tuple(Local(carried[o]) for o in range(len(final.outputs)))
        parts = self.modules.member(self.region.path, loop.container)
        stop = loop.start + len(loop.regions)
        call = Apply(each, tuple(args))
        items = [*self.computed, *loop.regions]
        statement = For(each, parts, loop.start, stop, loop.size, targets, call, counter)
        self.body.add(statement, items)

    def _pick(self, counter: Local, turns: Turn) -> Pick:
        """The argument of the turn. Both values have names: an expression is computed once."""
        then, otherwise = (self._named(v) for v in (turns.then, turns.otherwise))
        return Pick(counter, turns.period, turns.turn, then, otherwise)

    def _named(self, value: Value) -> Local:
        tree = self.value(value)
        if isinstance(tree, Local):
            return tree
        local = Local(self._local(value))
        self.body.add(Assign(local, tree), self.computed)
        self.computed = []
        return local

    def _return(self, result: Any) -> None:
        self.computed = []
        if self.root:
            tree = map_structure(self._leaf, result)
        else:
            tree = tuple(self.value(v) for v in self.region.outputs)
        self.body.add(Return(tree, bare=not self.root), self.computed)

    def _leaf(self, leaf: Any) -> Bound:
        return self.value(leaf) if isinstance(leaf, Value) else plain_scalar(leaf, None)

    # ---- nodes

    def _node(self, node: Node) -> Bound:
        shadow = self._shadow(node)
        tied = self._tied_embedding(node)
        return tied or bind(shadow.row.tree(shadow), self._binder(node))

    def _binder(self, node: Node) -> Binder:
        return Binder(
            lambda i: self.value(node.operands[i]),  # type: ignore[arg-type]
            self.dim,
            lambda operand, axis: self._width(node, operand, axis),
            self._scalar,
            self._helper,
        )

    def _tied_embedding(self, node: Node) -> Bound:
        """A linear on an embedding's weight is the embedding's own `as_linear`."""
        if node.op != "linear" or not isinstance(node.operands[1], Param):
            return None
        owner = node.operands[1].name.rpartition(".")[0]
        layer = self.modules.layers.get(owner)
        if (
            layer is None
            or layer.layer is None
            or layer.layer.cls != "nn.Embedding"
            or not under(self.region.path, owner)
        ):
            return None
        x = self.value(node.operands[0])  # type: ignore[arg-type]
        table: Bound = self.modules.member(self.region.path, owner)
        out: Bound = Method(table, "as_linear", (x,))
        bias = node.operands[2]
        if not isinstance(bias, Value):
            return out
        typed: Bound = Typed(out, node.out.tensor)
        return Infix("+", typed, self.value(bias))

    def _shadow(self, node: Node) -> Node:
        """The node with its sizes and scalars marked. A reshape infers its first constant size."""
        shadow = mark_node(node, self._mark, operands=True)
        if node.op == "reshape" and node["free"] is None and not data_decides(*node["shape"]):
            constant = [
                i
                for i, d in enumerate(shadow["shape"])
                if isinstance(d, MarkedInt) and not d.mark.read_from
            ]
            shadow.attrs["free"] = constant[0] if constant else None
        return shadow

    def _mark(self, node: Node, name: str, value: Any) -> Any:
        kind = node.row.attrs[name].kind
        if kind == "float" and isinstance(value, int | float) and not isinstance(value, bool):
            derived = power_of(node, value)
            role = f"{node.op}.{name}" if name == "eps" else name
            return marked(float(value), Mark((node, name), role, not is_field(node, name), derived))
        if kind == "dims" and isinstance(value, tuple):
            shape = name == "shape" and len(value) == node.out.tensor.rank
            return tuple(self._mark_size(node, name, i, d, shape) for i, d in enumerate(value))
        if kind == "ints" and isinstance(value, tuple):
            return tuple(
                marked(d, Mark((node, name, i), name, True)) if d > 1 else d
                for i, d in enumerate(value)
            )
        return value

    def _mark_size(self, node: Node, name: str, index: int, size: Any, shape: bool) -> Any:
        """A constant size of a result: read from an argument's shape where it is the same width.
        Numbers that are no size of a result, as of padding, are literals.
        """
        if isinstance(size, bool) or not isinstance(size, int) or size <= 1:
            return size
        if shape:
            element = key(node.out, index)
            return marked(size, Mark(element, name, read_from=self._same_size(element)))
        if node.op == "split":
            part = node.results[index]
            return marked(size, Mark(key(part, node["axis"]), part.hint or name))
        return marked(size, Mark((node, name, index), name, True))

    def _same_size(self, element: Any) -> tuple[int, int] | None:
        """An axis of an argument, other than its last, that is the same width as the element."""
        root = self.widths.find(element)
        for i, value in enumerate(self.body.inputs):
            for axis, size in enumerate(value.tensor.shape[:-1]):
                if (
                    isinstance(size, int)
                    and size > 1
                    and self.widths.find(key(value, axis)) == root
                ):
                    return i, axis
        return None

    def _scalar(self, value: Any, dtype: DType | None) -> Bound:
        if not isinstance(value, MarkedInt | MarkedFloat):
            return plain_scalar(value, dtype)
        if value.mark.read_from:
            return self.body.sizes.axis(*value.mark.read_from)
        return self._slot(value.mark.slot(value, self.region.path))

    def _slot(self, slot: Slot) -> SlotRef:
        self.body.slots.append(slot)
        return SlotRef(len(self.body.slots) - 1)

    def _width(self, node: Node, operand: int, axis: int) -> SlotRef:
        value = node.operands[operand]
        assert isinstance(value, Value)
        size = value.tensor.shape[axis]
        assert isinstance(size, int)
        return self._slot(Slot(size, key(value, axis), f"{operand}.{axis}", self.region.path))

    def _helper(self, name: str) -> None:
        if name not in self.body.helpers:
            self.body.helpers.append(name)


def _size_or_number(value: Any, dtype: DType | None) -> Bound:
    """Any size stands for all: what instances of a class have differently has one length."""
    return SlotRef(0) if isinstance(value, MarkedInt) else plain_scalar(value, dtype)


def _draws(step: Any) -> bool:
    """Whether an item draws random numbers."""
    if isinstance(step, Node):
        return draws_inside(step)
    regions = step.regions if isinstance(step, Loop) else [step]
    return any(draws_inside(node) for region in regions for node in region.nodes())


def _with_blocks(item: Node | Region) -> list[Node | Region]:
    """The item and the nodes inside of its blocks."""
    if not isinstance(item, Node):
        return [item]
    return [item, *(n for block in blocks(item) for n in all_nodes(block))]


def _nested(nesting: Any, targets: list[Local | None]) -> Target:
    """Assignment targets in the nesting of a call's results."""
    if isinstance(nesting, int):
        return targets[nesting]
    return tuple(_nested(n, targets) for n in nesting)


def singular(container: str) -> tuple[str, ...]:
    """Names for the element of a list of modules."""
    name = container.rpartition(".")[2]
    known = {"h": "block", "layer": "layer", "block": "block"}
    if name in known:
        return (known[name], "layer")
    return (
        name.removesuffix("s") if name.endswith("s") and len(name) > 3 else "layer",
        "layer",
        "block",
        "part",
    )
