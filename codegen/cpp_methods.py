"""The method of a class as C++: the statements that `methods.py` prints as Python, in its order."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ..ir import Graph, Node, Value
from ..ir import dims as d
from ..ir.types import Tensor
from .body import Body
from .border import IndexRange, index_ranges
from .bound import Apply, Bound, Local, Member, SlotRef, Typed
from .cpp_blocks import print_block
from .cpp_fields import is_mixed
from .cpp_fuse import Locals, fuse
from .cpp_names import cpp_string, outputs_of, unique_cpp
from .cpp_render import Names, render_cpp, size
from .methods import live_spans, plus, size_bounds, size_names
from .names import local_names
from .regions import Region
from .slots import TOKEN, token
from .statements import Assign, For, Open, Return, Statement

RESULT = "mx::array"


@dataclass
class Method:
    """A method: `arguments` as "kind name", the result's type, the lines of its body.

    `origins` are the nodes and calls that each line computes.
    """

    arguments: list[str] = field(default_factory=list)
    result: str = RESULT
    lines: list[str] = field(default_factory=list)
    origins: list[list[Node | Region]] = field(default_factory=list)


class MethodPrinter:
    """Prints one body. `printer` resolves the slots of the class."""

    def __init__(self, body: Body, printer: Any, root: Graph | None):
        self.body, self.printer, self.root = body, printer, root
        self.sizes = size_names(body)
        lines = [code for _, code in body.lines]
        reserved = {*self.sizes, *printer.reserved, *printer.keywords}
        names = local_names(body.locals, live_spans(body, lines), reserved)
        self.names = unique_cpp(names)
        self.known = Names(self._type, self._slot, printer.access)
        self.declared: set[str] = set()
        self.assigned: set[str] = set()
        self.out: list[tuple[int, str]] = []
        self.depth = 0
        self.origins: list[list[Node | Region]] = []
        self.computed: list[Node | Region] = []

    def _type(self, index: int) -> Tensor | None:
        return self.body.locals[index].type

    def _slot(self, slot: SlotRef) -> Any:
        return self.body.slots[slot.index].value

    # ---- pieces

    def resolved(self, text: str) -> str:
        def resolve(match: re.Match[str]) -> str:
            kind, index = match[1], int(match[2])
            if kind == "v":
                return self.names[index]
            return self.sizes[index] if kind == "d" else str(self.printer.call_slot(index))

        return TOKEN.sub(resolve, text)

    def code(self, tree: Bound) -> str:
        return render_cpp(fuse(tree, Locals(self._type, self.names.__getitem__)), self.known).code

    def add(self, line: str, depth: int = 0) -> None:
        self.out.append((self.depth + depth, line))
        self.origins.append(self.computed)

    # ---- the method

    def print(self) -> Method:
        arguments = self._arguments()
        self.declared = {name for name, _ in arguments}
        for statement, items in zip(self.body.statements, self.body.origins, strict=True):
            self.computed = items
            self.statement(statement)
        lines = [self.resolved("  " * depth + line) for depth, line in self.out]
        text = "\n".join(line for _, line in self.out)
        opening = self._border(text) if self.root else self._shape_lines(text)
        opening += [""] if opening and len(lines) > 1 else []
        return Method(
            [kind.format(self._by(name)) + name for name, kind in arguments],
            self._result_type(),
            [*opening, *lines],
            [*([] for _ in opening), *self.origins],
        )

    def _by(self, name: str) -> str:
        """An argument that the method assigns to comes as a copy, which shares its data."""
        return "mx::array " if name in self.assigned else "const mx::array& "

    def _arguments(self) -> list[tuple[str, str]]:
        """Every array argument, nested ones flat; then the sizes that no shape gives."""
        arrays = [(self.names[self.body.local_of[v]], "{}") for v in self.body.inputs]
        passed = [
            (self.sizes[i], "int ")
            for i, s in enumerate(self.body.sizes.sources)
            if s.argument == -1
        ]
        return arrays + passed

    def _result_type(self) -> str:
        count = len(outputs_of(self.root)) if self.root else len(self.body.region.outputs)
        return RESULT if count == 1 else f"std::tuple<{', '.join([RESULT] * count)}>"

    def _shape_lines(self, text: str) -> list[str]:
        """`int L = x.shape(1);` for the sizes that are used."""
        lines = []
        for i, source in enumerate(self.body.sizes.sources):
            if source.argument >= 0 and token("d", i) in text:
                lines.append(self._shape_line(i))
        return lines

    def _shape_line(self, index: int) -> str:
        source = self.body.sizes.sources[index]
        value = self.body.inputs[source.argument]
        name = self.names[self.body.local_of[value]]
        return f"int {self.sizes[index]} = {name}.shape({source.axis});"

    # ---- statements

    def statement(self, statement: Statement) -> None:
        match statement:
            case Open():
                pass  # nested arguments come flat
            case Assign(target, value):
                self.assign(_flat(target), value)
            case For():
                self._for(statement)
            case Return(result):
                self._return(result)
            case _:
                print_block(self, statement)

    def _return(self, result: Any) -> None:
        trees = [result] if isinstance(result, _TREES) else _leaves(result)
        codes = ", ".join(self.code(t) for t in trees)
        self.add(f"return {codes};" if len(trees) == 1 else f"return {{{codes}}};")

    def assign(self, targets: list[Local | None], value: Bound, depth: int = 0) -> None:
        code = self.code(value)
        names = [self.names[t.index] if t else "" for t in targets]
        fresh = [n for n in names if n and n not in self.declared]
        if len(targets) == 1 and not fresh and self.resolved(code) == names[0]:
            return
        if len(targets) == 1:
            self.add(f"{'auto ' if fresh else ''}{names[0]} = {code};", depth)
        elif len(fresh) == len(names):
            self.add(f"auto [{', '.join(names)}] = {code};", depth)
        elif not fresh and any(names):
            ties = ", ".join(n or "std::ignore" for n in names)
            self.add(f"std::tie({ties}) = {code};", depth)
        else:
            self._take_apart(names, code, depth)
        self.assigned |= set(names) - set(fresh)
        self.declared |= set(fresh)

    def _take_apart(self, names: list[str], code: str, depth: int) -> None:
        """Some results are known already or are not read: each is taken by its place."""
        read = [(i, n) for i, n in enumerate(names) if n]
        if len(read) == 1:
            place, name = read[0]
            auto = "" if name in self.declared else "auto "
            self.add(f"{auto}{name} = std::get<{place}>({code});", depth)
            return
        free = (n for n in ("results", "parts", "all", "all_results") if n not in self.declared)
        whole = next(free)
        self.add(f"auto {whole} = {code};", depth)
        self.declared.add(whole)
        for place, name in read:
            auto = "" if name in self.declared else "auto "
            self.add(f"{auto}{name} = std::get<{place}>({whole});", depth)

    def _for(self, loop: For) -> None:
        each = self.names[loop.each.index]
        for target in loop.targets:
            name = self.names[target.index]
            if name not in self.declared:
                self.add(f"auto {name} = mx::array(0);")
                self.declared.add(name)
        counter = self.names[loop.counter.index] if loop.counter is not None else ""
        start = f"int {counter} = 0; " if counter else ""
        self.add(f"for ({start}const auto& {each} : {self._parts(loop)}) {{")
        inside, self.declared = self.declared, set(self.declared)
        call: Bound = loop.call
        if is_mixed(self.printer.list_of(loop)):
            call = self._visit(loop.call, each)
        if isinstance(call, str):
            self.add(f"{self._single(loop)} = {call};", 1)
        else:
            self.assign(list(loop.targets), call, 1)
        if counter:
            self.add(f"++{counter};", 1)
        self.declared = inside
        self.add("}")

    def _single(self, loop: For) -> str:
        names = [self.names[t.index] for t in loop.targets]
        self.assigned |= set(names)
        return names[0] if len(names) == 1 else f"std::tie({', '.join(names)})"

    def _visit(self, call: Apply, each: str) -> str:
        """A call of whichever class the element of a mixed list has."""
        args = ", ".join(self.code(a) for a in call.args)
        return f"std::visit([&](const auto& part) {{ return part({args}); }}, {each})"

    def _parts(self, loop: For) -> str:
        """The list, or the part of it that is looped over."""
        member = self.printer.list_of(loop)
        steps = zip(member.path, loop.list.steps, strict=False)
        whole: str = member.name + "".join(f"[{name}]" for p, (_, name) in steps if p is None)
        first, behind = member.range or (0, loop.size)
        if (loop.start, loop.stop) == (first, behind):
            return whole
        start = loop.start - first
        if loop.stop == behind:
            return f"std::span({whole}).subspan({start})"
        return f"std::span({whole}).subspan({start}, {loop.stop - loop.start})"

    # ---- the model's border

    def _border(self, text: str) -> list[str]:
        """Rank, dtype, ties, static sizes and bounds of the inputs, as the manifest has them."""
        assert self.root is not None
        lines: list[str] = []
        read: set[str] = set()
        again: list[tuple[str, str, Value, str]] = []
        for number, value in enumerate(self.body.inputs):
            place = self.names[self.body.local_of[value]]
            name = cpp_string(input_names(self.root)[number])
            own = [(i, s) for i, s in enumerate(self.body.sizes.sources) if s.argument == number]
            fresh = {s.axis for _, s in own}
            shape = [
                "-1" if axis in fresh else self._expected(value, axis, read)
                for axis in range(value.tensor.rank)
            ]
            dtype = f"mx::{value.tensor.dtype.mlx}"
            lines.append(f"nn::check_input({name}, {place}, {{{', '.join(shape)}}}, {dtype});")
            for i, source in own:
                read.add(self.sizes[i])
                if source.multiple:
                    ends = f"{source.axis}, {source.factor}{plus(source)}"
                    lines.append(f"nn::check_multiple({name}, {place}, {ends});")
                lines.append(self._shape_line(i))
            if not all(s.plain or s.multiple for _, s in own):
                again.append((name, place, value, dtype))
        for name, place, value, dtype in again:
            shape = [self._expected(value, axis, read) for axis in range(value.tensor.rank)]
            lines.append(f"nn::check_input({name}, {place}, {{{', '.join(shape)}}}, {dtype});")
        return self._bounds(lines, read, text)

    def _expected(self, value: Value, axis: int, read: set[str]) -> str:
        dim = value.tensor.shape[axis]
        if isinstance(dim, int):
            return str(self.printer.static(value, axis))
        local = self.body.sizes.over(dim, self.sizes)
        return size(local).code if {s.name for s in d.symbols(local)} <= read else "-1"

    def _bounds(self, lines: list[str], read: set[str], text: str) -> list[str]:
        assert self.root is not None
        known = self.body.sizes.symbols(self.sizes)
        mapping = {s: e for s, e in known.items() if {x.name for x in d.symbols(e)} <= read}
        for local, low, high in size_bounds(self.root, self.body, self.sizes):
            if not {s.name for s in d.symbols(local)} <= read:
                continue
            ends = f"{size(local).code}, {low}, {'std::nullopt' if high is None else high}"
            lines.append(f"nn::check_size({cpp_string(str(local))}, {ends});")
        checks = [self._index_check(r, mapping) for r in index_ranges(self.root)]
        if checks:
            lines += ["if (check_indices_) {", *checks, "}"]
        used = "\n".join([text, *lines])
        kept = [line for line in lines if not self._unread(line, used, text)]
        return kept

    def _index_check(self, found: IndexRange, mapping: dict[str, Any]) -> str:
        assert self.root is not None
        name = cpp_string(input_names(self.root)[self.body.inputs.index(found.input)])
        place = self.names[self.body.local_of[found.input]]
        if isinstance(found.size, int):
            end = str(self.printer.static(found.table, found.axis))
        else:
            end = size(d.substitute(found.size, mapping)).code
        low = f"-({end})" if found.wraps else "0"
        if found.offset:
            low = str(found.offset) if low == "0" else f"{low} + {found.offset}"
            end = f"{end} + {found.offset}" if found.offset > 0 else f"{end} - {-found.offset}"
        return f"  nn::check_range({name}, {place}, {low}, {end});"

    def _unread(self, line: str, used: str, text: str) -> bool:
        """Whether the line reads a size that nothing uses."""
        found = re.fullmatch(r"int (\w+) = \w+\.shape\(-?\d+\);", line)
        if not found:
            return False
        name = found[1]
        index = self.sizes.index(name)
        others = _code_of(used.replace(line, ""))
        return token("d", index) not in text and not re.search(rf"\b{name}\b", others)


def _code_of(lines: str) -> str:
    """The lines without their string literals."""
    return re.sub(r'"(\\.|[^"\\])*"', "", lines)


_TREES = (Typed, Local, Member, Apply)


def _leaves(result: Any) -> list[Bound]:
    """The arrays in a nested result, in order."""
    if isinstance(result, dict):
        return [leaf for v in result.values() for leaf in _leaves(v)]
    if isinstance(result, tuple | list):
        return [leaf for v in result for leaf in _leaves(v)]
    return [result] if isinstance(result, _TREES) else []


def _flat(target: Any) -> list[Local | None]:
    if isinstance(target, tuple):
        return [leaf for t in target for leaf in _flat(t)]
    return [target]


def input_names(graph: Graph) -> list[str]:
    """The names of all array inputs, nested ones by their path: `state.0`."""
    names: list[str] = []

    def visit(path: str, tree: Any) -> None:
        if isinstance(tree, Value):
            names.append(path)
        elif isinstance(tree, dict):
            for key, item in tree.items():
                visit(f"{path}.{key}", item)
        elif isinstance(tree, tuple | list):
            for i, item in enumerate(tree):
                visit(f"{path}.{i}", item)

    for name, tree in graph.arguments:
        visit(name, tree)
    return names


__all__ = ["Method", "MethodPrinter", "input_names"]
