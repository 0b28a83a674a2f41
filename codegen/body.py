"""The body of one module call as lines of code with placeholders.

A body is printed once for every call in the model. What may differ between calls of one class, or
is named only later, stands as a token: slots (sizes and scalars), local variables, local dims, and
classes. Two calls are of one class exactly when their texts are the same: then they compute the
same function of inputs, weights and slots.
"""

from __future__ import annotations

import copy
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ..ir import Node, Param, Value, dims
from ..ir.dims import Atom, Expr, Sym
from ..ir.graph import leaves, map_structure
from ..ir.types import DType
from .loops import Loop, find_loops
from .modules import Modules
from .names import role_of
from .regions import Region, relative, under
from .render import ATOM, PRODUCT, SUM, Printer, Text, render_tree, scalar_text
from .widths import Widths, key

TOKEN = re.compile("\ue000([a-z])(\\d+)\ue001")
INLINE = 56  # a single-use expression longer than this gets a name


def token(kind: str, index: int) -> str:
    """A placeholder: `s`/`i` slot (in a call, in a constructor), `v` variable, `d` dim, `c`
    class.
    """
    return f"\ue000{kind}{index}\ue001"


def length(code: str) -> int:
    """Length of the code with every token taken for a short name."""
    return len(TOKEN.sub("xxxxxxxx", code))


@dataclass
class Slot:
    """A number in a body: a size or scalar that another instance of the class may have otherwise.

    `element` identifies the width it stands for. `role` and `attr` are the evidence for its name. A
    `literal` slot is printed as a number unless instances differ.
    """

    value: int | float
    element: Any
    role: str
    attr: str
    literal: bool = False
    derived: tuple[str, Any] | None = None  # ("rsqrt" | "sqrt", element): a power of a width


class SlotInt(int):
    """An int that remembers its slot on the way through an op row."""

    slot: tuple[Any, str, bool]


class SlotFloat(float):
    slot: tuple[Any, str, bool]


@dataclass
class Local:
    """A variable of the body and what is known for naming it."""

    hints: list[str] = field(default_factory=list)
    rank: int = 0


@dataclass
class Body:
    """Lines of one call: (indent, code). `inputs` are local variables; `int_inputs` dims the caller
    passes.
    """

    region: Region
    inputs: list[Value] = field(default_factory=list)
    int_inputs: list[Expr] = field(default_factory=list)
    lines: list[tuple[int, str]] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    locals: list[Local] = field(default_factory=list)
    dims: list[tuple[int, int, str]] = field(
        default_factory=list
    )  # (input, axis, name in the graph)
    input_locals: list[int] = field(default_factory=list)
    helpers: list[str] = field(default_factory=list)

    def text(self) -> str:
        return "\n".join(f"{'    ' * depth}{code}" for depth, code in self.lines)


class BodyBuilder:
    """Prints the items of a region."""

    def __init__(
        self,
        region: Region,
        widths: Widths,
        modules: Modules,
        bodies: dict[Region, Body],
        roles: dict[Value, str],
    ):
        self.region, self.widths, self.modules, self.bodies = region, widths, modules, bodies
        self.body = Body(region)
        self.ids: dict[Value, int] = {}
        self.pending: dict[Value, Text] = {}
        self.root = region.parent is None
        self.roles = roles
        self._dim_ids: dict[Sym | Atom, Expr] = {}

    # ---- inputs and dims

    def build(self, arguments: list[tuple[str, Any]] | None, result: Any) -> Body:
        """The body; the root region has the graph's arguments and result structure."""
        body = self.body
        body.inputs = list(self.region.inputs)
        self._count_uses(result)
        if arguments is not None:
            self._open_arguments(arguments)
        else:
            for value in body.inputs:
                body.input_locals.append(self._local(value, self.region.scope.names.get(value, "")))
        self._find_dims()
        for step in find_loops(self.region, self.bodies, self.modules):
            self._step(step)
        self._return(result)
        return body

    def _open_arguments(self, arguments: list[tuple[str, Any]]) -> None:
        """Locals for the arguments; nested ones are taken apart first."""
        opened: list[str] = []
        for name, tree in arguments:
            if isinstance(tree, Value):
                self.body.input_locals.append(self._local(tree, name))
                continue
            whole = self._new_local(name)
            self.body.input_locals.append(whole)
            opened += self._unpack(tree, token("v", whole))
        self.body.lines += [(0, line) for line in opened]

    def _unpack(self, tree: Any, code: str) -> list[str]:
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        lines = []
        for index, item in items:
            place = f"{code}[{index!a}]"
            if isinstance(item, Value):
                local = self._local(item, str(index) if isinstance(tree, dict) else "")
                lines.append(f"{token('v', local)} = {place}")
            elif item is not None:
                lines += self._unpack(item, place)
        return lines

    def _new_local(self, *hints: str) -> int:
        self.body.locals.append(Local([h for h in hints if h]))
        return len(self.body.locals) - 1

    def _local(self, value: Value, *hints: str) -> int:
        if value not in self.ids:
            own = value.hint if not isinstance(value, Param) else value.name.replace(".", "_")
            proved = self.roles.get(value, "") if value not in self.region.inputs else ""
            ahead = "" if own or value in self.region.inputs else self._hint_ahead(value)
            self.ids[value] = self._new_local(proved, *hints, own, ahead, *role_of(value))
            self.body.locals[self.ids[value]].rank = value.tensor.rank
        return self.ids[value]

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
            if value.hint or value in self.roles:
                return self.roles.get(value, value.hint)
        return ""

    def _find_dims(self) -> None:
        """Every symbolic size of an input, as long as the ones before do not give it already."""
        for i, value in enumerate(self.body.inputs):
            for axis, dim in enumerate(value.tensor.shape):
                if isinstance(dim, Expr) and self._express(dim) is None:
                    self._solve(dim, i, axis)

    def _solve(self, dim: Expr, index: int, axis: int) -> None:
        """Bind the one unknown atom of `c * atom + k` to the axis; several unknowns: to the whole
        expression.
        """
        local = dims.symbol(token("d", len(self.body.dims)))
        rest, unknown = 0, []
        for monomial, coefficient in dim.terms:
            if monomial and not (len(monomial) == 1 and monomial[0][1] == 1):
                return
            if monomial and monomial[0][0] not in self._dim_ids:
                unknown.append((monomial[0][0], coefficient))
            elif not monomial:
                rest += coefficient
            else:
                return
        if len(unknown) != 1 or unknown[0][1] < 0:
            return
        atom, coefficient = unknown[0]
        self._dim_ids[atom] = dims.floordiv(local - rest, coefficient)  # type: ignore[assignment]
        self.body.dims.append((index, axis, str(atom) if isinstance(atom, Sym) else ""))

    def _express(self, dim: Expr) -> int | Expr | None:
        """The dim over local sizes, or None when they do not determine it."""
        out = dims.rebuild(dim, self._dim_ids.get)
        left = {s.name for s in dims.symbols(out)} if isinstance(out, Expr) else set()
        return None if any(not name.startswith("\ue000") for name in left) else out

    def dim(self, dim: Expr) -> Text:
        local = self._express(dim)
        if local is None:  # not to be read from any input here: the caller passes it
            self.body.int_inputs.append(dim)
            self._add_int_input(dim)
            local = self._express(dim)
        binds = (
            ATOM
            if not isinstance(local, Expr)
            or (
                str(local).startswith("\ue000")
                and str(local).count("\ue000") == 1
                and len(local.terms) == 1
                and TOKEN.fullmatch(str(local))
            )
            else SUM
        )
        if binds == SUM and isinstance(local, Expr) and len(local.terms) == 1:
            binds = PRODUCT
        return Text(str(local), binds)

    def _add_int_input(self, dim: Expr) -> None:
        """Bind every unknown symbol of the dim to a new integer argument."""
        self.body.int_inputs.pop()
        for sym in sorted(dims.symbols(dim), key=lambda s: s.name):
            if sym not in self._dim_ids:
                self.body.int_inputs.append(dims.symbol(sym.name, sym.low, sym.high))
                self._dim_ids[sym] = dims.symbol(token("d", len(self.body.dims)))
                self.body.dims.append((-1, len(self.body.int_inputs) - 1, sym.name))

    # ---- values

    def _count_uses(self, result: Any) -> None:
        self.counts: Counter[Value] = Counter()
        for item in self.region.items:
            values = item.values if isinstance(item, Node) else item.inputs
            self.counts.update(v for v in values if isinstance(v, Value))
        self.counts.update(
            v
            for v in (leaves(result) if self.root else self.region.outputs)
            if isinstance(v, Value)
        )
        self.user: dict[Value, Any] = {}
        for item in self.region.items:
            for value in item.values if isinstance(item, Node) else item.inputs:
                self.user[value] = item

    def value(self, value: Value) -> Text:
        """The value where it is used: its variable, its weight, or the expression itself."""
        if value in self.pending:
            return self.pending.pop(value)
        if isinstance(value, Param) and under(self.region.path, value.name):
            return Text(self.modules.access(self.region.path, value.name))
        if value not in self.ids:
            raise KeyError(
                f"{value!r} is used in {self.region.path or 'the root'} before it is defined"
            )
        return Text(token("v", self.ids[value]))

    def assign(self, values: list[Value], text: Text, nesting: tuple[Any, ...] = ()) -> None:
        """Name the results of an item, or keep a single-use expression for its place of use.

        `nesting` tells how the call nests its results, where they are no flat tuple.
        """
        if len(values) == 1 and self._inlines(values[0], text):
            self.pending[values[0]] = text
            return
        names = [token("v", self._local(v)) if self.counts[v] else "_" for v in values]
        targets = (
            _nested(nesting, names).removeprefix("(").removesuffix(")")
            if nesting
            else ", ".join(names)
        )
        self.body.lines.append((0, f"{targets} = {text.code}"))

    def _inlines(self, value: Value, text: Text) -> bool:
        if self.counts[value] != 1:
            return False
        user = self.user.get(value)
        if user is None and not self.root and len(self.region.outputs) == 1:
            return True  # all that the method returns
        if length(text.code) > INLINE:
            return False
        if user is None:
            return True
        if user in self.looped:
            return False
        if value.node is None or value.node.scope is not self.region.scope:
            return True  # what a module returns
        if not value.hint and value not in self.roles:
            return True
        if value in self.roles:
            used = user.results if isinstance(user, Node) else ()
            return any(self.roles.get(v) == self.roles[value] for v in used)
        after = user.results if isinstance(user, Node) else user.outputs
        return any(v.hint == value.hint for v in after) and len(after) == 1

    # ---- steps

    @property
    def looped(self) -> set[Any]:
        if not hasattr(self, "_looped"):
            steps = find_loops(self.region, self.bodies, self.modules)
            self._looped = {r for s in steps if isinstance(s, Loop) for r in s.regions}
        return self._looped

    def _step(self, step: Any) -> None:
        if isinstance(step, Node):
            self.assign(step.results, self._node(step))
        elif isinstance(step, Loop):
            self._loop(step)
        else:
            text = self._call(step, self.modules.access(self.region.path, step.path))
            if step.layer is not None:
                self.assign(step.items[0].results, text, step.layer.results)
            else:
                self.assign(step.outputs, text)

    def _call(self, region: Region, callee: str) -> Text:
        if region.layer is not None and region.layer.inputs is not None:
            node = region.items[0]
            printer = self._printer(node)
            return Text(
                f"{callee}({', '.join(render_tree(t, printer).code for t in region.layer.inputs)})"
            )
        args = [self.value(v).code for v in self._call_inputs(region)]
        if region in self.bodies:
            args += [self.dim(d).code for d in self.bodies[region].int_inputs]
        return Text(f"{callee}({', '.join(args)})")

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
            text = self.value(start)
            alone = self.counts[start] == 1 and TOKEN.fullmatch(text.code) and start in self.ids
            if alone:
                local = self.ids[start]
                self.body.locals[local].hints[:0] = [
                    v.hint for r in loop.regions for v in [r.outputs[output]] if v.hint
                ]
            else:
                local = self._new_local(
                    *[v.hint for r in loop.regions for v in [r.outputs[output]]], start.hint
                )
                self.body.lines.append((0, f"{token('v', local)} = {text.code}"))
            self.body.locals[local].rank = start.tensor.rank
            carried[output] = local
        by_position = {p: carried[o] for p, o in loop.carried.items()}
        args = [
            token("v", by_position[i]) if i in by_position else self.value(v).code
            for i, v in enumerate(first.inputs)
        ]
        args += [self.dim(d).code for d in self.bodies[first].int_inputs]
        for o in range(len(final.outputs)):
            carried.setdefault(o, self._new_local(final.outputs[o].hint))
            self.ids[final.outputs[o]] = carried[o]
        each = self._new_local(*singular(loop.container))
        targets = ", ".join(token("v", carried[o]) for o in range(len(final.outputs)))
        self.body.lines.append(
            (0, f"for {token('v', each)} in {loop.access(self.modules, self.region.path)}:")
        )
        self.body.lines.append((1, f"{targets} = {token('v', each)}({', '.join(args)})"))

    def _return(self, result: Any) -> None:
        if self.root:
            self.body.lines.append((0, f"return {self._structure(result)}"))
            return
        self.body.lines.append(
            (0, f"return {', '.join(self.value(v).code for v in self.region.outputs)}")
        )

    def _structure(self, tree: Any) -> str:
        if isinstance(tree, dict):
            return "{" + ", ".join(f"{k!a}: {self._structure(v)}" for k, v in tree.items()) + "}"
        if isinstance(tree, tuple | list):
            inner = ", ".join(map(self._structure, tree))
            return (
                f"[{inner}]"
                if isinstance(tree, list)
                else f"({inner}{',' if len(tree) == 1 else ''})"
            )
        return self.value(tree).code if isinstance(tree, Value) else ascii(tree)

    # ---- nodes

    def _node(self, node: Node) -> Text:
        shadow = self._shadow(node)
        tied = self._tied_embedding(node)
        if tied:
            return tied
        return render_tree(shadow.row.tree(shadow), self._printer(node))

    def _printer(self, node: Node) -> Printer:
        return Printer(
            lambda i: self.value(node.operands[i]),  # type: ignore[arg-type]
            self.dim,
            lambda operand, axis: self._width_text(node, operand, axis),
            self._scalar,
            self._helper,
        )

    def _tied_embedding(self, node: Node) -> Text | None:
        """A linear on an embedding's weight is the embedding's own `as_linear`."""
        if (
            node.op != "linear"
            or node.operands[2] is not None
            or not isinstance(node.operands[1], Param)
        ):
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
        return Text(f"{self.modules.access(self.region.path, owner)}.as_linear({x.code})")

    def _shadow(self, node: Node) -> Node:
        """The node with its sizes and scalars marked as slots."""
        shadow = copy.copy(node)
        shadow.attrs = {k: self._mark(node, k, v) for k, v in node.attrs.items()}
        shadow.operands = [
            _slot(o, ((node, i), "operand", True), self._power_of(node, o))
            if isinstance(o, float)
            else o
            for i, o in enumerate(node.operands)
        ]
        return shadow

    def _mark(self, node: Node, name: str, value: Any) -> Any:
        kind = node.row.attrs[name].kind
        attr = self.region.path.rpartition(".")[2]
        if kind == "float" and isinstance(value, int | float) and not isinstance(value, bool):
            return _slot(
                float(value),
                ((node, name), name, name not in ("eps",)),
                self._power_of(node, value),
            )
        if kind == "dims" and isinstance(value, tuple):
            shape = name == "shape" and len(value) == node.out.tensor.rank
            return tuple(
                _slot(d, (key(node.out, i) if shape else (node, name, i), name, False), None)
                if isinstance(d, int) and not isinstance(d, bool) and d > 1
                else d
                for i, d in enumerate(value)
            )
        if kind == "ints" and isinstance(value, tuple):
            return tuple(
                _slot(d, ((node, name, i), name, True), None) if d > 1 else d
                for i, d in enumerate(value)
            )
        del attr
        return value

    def _power_of(self, node: Node, value: Any) -> tuple[str, Any] | None:
        """Whether the scalar is a power ±1/2 of the last width of an operand that it scales."""
        if (
            node.op not in ("attention", "multiply", "divide")
            or not node.values
            or not isinstance(value, float)
        ):
            return None
        x = node.values[0]
        size = x.tensor.shape[-1] if x.tensor.rank else None
        if not isinstance(size, int) or size < 4:
            return None
        for name, power in (("rsqrt", -0.5), ("sqrt", 0.5)):
            if math.isclose(value, size**power, rel_tol=1e-6):
                return name, key(x, -1)
        return None

    def _scalar(self, value: Any, dtype: DType | None) -> Text:
        if isinstance(value, SlotInt | SlotFloat):
            element, role, literal, derived = value.slot  # type: ignore[misc]
            return self._slot_text(
                Slot(_plain(value), element, role, self._attr(), literal, derived), "s"
            )
        return scalar_text(value, dtype)

    def _attr(self) -> str:
        return self.region.path.rpartition(".")[2]

    def _slot_text(self, slot: Slot, kind: str) -> Text:
        self.body.slots.append(slot)
        return Text(token(kind, len(self.body.slots) - 1))

    def _width_text(self, node: Node, operand: int, axis: int) -> Text:
        value = node.operands[operand]
        assert isinstance(value, Value)
        slot = Slot(value.tensor.shape[axis], key(value, axis), f"{operand}.{axis}", self._attr())  # type: ignore[arg-type]
        return self._slot_text(slot, "s")

    def _helper(self, name: str) -> str:
        if name not in self.body.helpers:
            self.body.helpers.append(name)
        return name


def _nested(nesting: Any, names: list[str]) -> str:
    """Assignment targets in the nesting of a call's results; a part that nobody reads is one
    `_`.
    """
    if isinstance(nesting, int):
        return names[nesting]
    parts = [_nested(n, names) for n in nesting]
    return "_" if all(p == "_" for p in parts) else f"({', '.join(parts)})"


def _slot(value: Any, slot: tuple[Any, str, bool], derived: tuple[str, Any] | None) -> Any:
    marked: Any = SlotFloat(value) if isinstance(value, float) else SlotInt(value)
    marked.slot = (*slot, derived)
    return marked


def _plain(value: Any) -> int | float:
    return float(value) if isinstance(value, float) else int(value)


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


__all__ = ["Body", "BodyBuilder", "Local", "Slot", "length", "map_structure", "relative", "token"]
