"""The method of a class as source text: signature, sizes, checks at the model's border, body."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..ir import Graph, Node, Value
from ..ir import dims as d
from ..ir.dims import Expr
from .body import Body
from .local_dims import DimSource
from .names import local_names
from .regions import Region
from .render import render_tree
from .slots import TOKEN, token
from .statements import loop_spans
from .structure import Group

if TYPE_CHECKING:
    from .classes import ClassPrinter


Origins = list[list[Node | Region]]
_SAME = re.compile(r"(\w+) = \1")  # two variables that got one name
_HEAD = re.compile(r"(for|while|if|else)\b.*:(  # .*)?$")


def print_call(
    group: Group, body: Body, printer: ClassPrinter, root: Graph | None
) -> tuple[list[str], Origins]:
    """The `__call__` method, indented as in its class, and what each of its statements computes."""
    lines = [code for _, code in body.lines]
    spans = live_spans(body, lines)
    used_dims = [
        i
        for i in range(len(body.sizes.sources))
        if any(f"\ue000d{i}\ue001" in line for line in lines)
        or (root is not None and body.sizes.sources[i].argument >= 0 and _checked(root))
    ]
    dim_names = size_names(body)
    reserved = {dim_names[i] for i in used_dims} | printer.reserved
    names = local_names(body.locals, spans, reserved)

    def resolve(match: re.Match[str]) -> str:
        kind, index = match[1], int(match[2])
        return {
            "v": lambda: names[index],
            "d": lambda: dim_names[index],
            "s": lambda: printer.call_slot(index),
        }[kind]()

    arguments = [names[i] for i in body.input_locals]
    ints = [dim_names[i] for i, source in enumerate(body.sizes.sources) if source.argument == -1]
    kinds = _annotations(body, root, names)
    head = ", ".join(
        [
            "self",
            *(f"{a}: {k}" for a, k in zip(arguments, kinds, strict=True)),
            *(f"{i}: int" for i in ints),
        ]
    )
    out = [f"    def __call__({head}) -> {_result_annotation(body, root)}:"]
    value_names = {v: names[local] for v, local in body.local_of.items()}
    opening, origins = _shape_lines(body, used_dims, dim_names, value_names)
    checks = _border(root, body, value_names, dim_names, printer) if root is not None else []
    opening += checks
    written = _written(body, resolve)
    computed = [items for line, items in written if line.strip() != "else:"]
    origins = [*computed[: body.opened], *origins, *([] for _ in checks)]
    code = [line for line, _ in written]
    out += code[: body.opened]
    out += [f"        {line}" for line in opening]
    out += [""] if opening and len(body.lines) > 2 else []
    return out + code[body.opened :], [*origins, *computed[body.opened :]]


def _written(
    body: Body, resolve: Callable[[re.Match[str]], str]
) -> list[tuple[str, list[Node | Region]]]:
    """The lines and what they compute, without those that do nothing; a block keeps one line."""
    kept: list[tuple[int, str, list[Node | Region]]] = []
    head = -1  # of a block that has no line yet: its depth
    for (depth, raw), items in zip(body.lines, body.line_origins, strict=True):
        line = TOKEN.sub(resolve, raw)
        if head >= 0 and depth <= head:
            kept.append((head + 1, "pass", items))
            head = -1
        if _SAME.fullmatch(line):
            continue
        kept.append((depth, line, items))
        head = depth if _HEAD.match(line) else -1
    return [(f"        {'    ' * depth}{line}", items) for depth, line, items in kept]


def live_spans(body: Body, lines: list[str]) -> dict[int, tuple[int, int]]:
    """First and last line of every local; arguments live from before the first."""
    spans: dict[int, tuple[int, int]] = {}
    for i in body.input_locals:
        spans[i] = (-1, -1)
    for number, line in enumerate(lines):
        for match in TOKEN.finditer(line):
            if match[1] == "v":
                first, _ = spans.get(int(match[2]), (number, number))
                spans[int(match[2])] = (first, number)
    for i in range(len(body.locals)):
        spans.setdefault(i, (len(lines), len(lines)))
    for start, end in loop_spans(body.statements):
        for i, (first, last) in spans.items():
            if first < start <= last <= end:  # the next turn reads it again
                spans[i] = (first, end + 1)
    return spans | {i: (0, len(lines)) for i, v in enumerate(body.locals) if v.whole}


def size_names(body: Body) -> list[str]:
    """Names of local sizes: the graph's symbol, else by place."""
    names: list[str] = []
    for source in body.sizes.sources:
        own = TOKEN.sub(lambda m: names[int(m[2])], source.name)
        candidates = [own] if own.isidentifier() else []
        candidates += ["B"] if source.axis == 0 and source.argument >= 0 else []
        candidates += ["L", "T", "S", "N", "M", "H", "W", "K", "P", "Q", "R"]
        names.append(
            next((c for c in candidates if c not in names), f"size_{'i' * (len(names) + 1)}")
        )
    return names


def _shape_lines(
    body: Body, used: list[int], names: list[str], value_names: dict[Value, str]
) -> tuple[list[str], Origins]:
    """`B, L, _ = x.shape` for the sizes that are used, and what is computed with those."""
    lines: list[str] = []
    origins: Origins = []
    for i, value in enumerate(body.inputs):
        sources = body.sizes.sources
        here = {sources[k].axis: names[k] for k in used if sources[k].argument == i}
        if not here:
            continue
        rank = value.tensor.rank
        if len(here) == 1 and rank > 1:
            ((axis, name),) = here.items()
            place = axis if axis < rank - 1 or axis == 0 else -1
            lines.append(f"{name} = {value_names[value]}.shape[{place}]")
        else:
            targets = ", ".join(here.get(a, "_") for a in range(rank)) + ("," if rank == 1 else "")
            lines.append(f"{targets} = {value_names[value]}.shape")
        read = [token("d", k) for k in used if body.sizes.sources[k].argument == i]
        origins.append(
            [
                item
                for (_, line), items in zip(body.lines, body.line_origins, strict=True)
                if any(size in line for size in read)
                for item in items
            ]
        )
    return lines, origins


def _checked(graph: Graph) -> bool:
    """Whether the inputs' shapes must satisfy more than their own ranks."""
    seen: set[str] = set()
    for value in graph.inputs:
        for dim in value.tensor.shape:
            if not isinstance(dim, Expr) or str(dim) in seen or not str(dim).isidentifier():
                return True
            seen.add(str(dim))
    return any(s.high is not None or s.low > 1 for s in graph.symbols())


def _border(
    graph: Graph, body: Body, names: dict[Value, str], dim_names: list[str], printer: ClassPrinter
) -> list[str]:
    """Checks of ties, static sizes and bounds at the model's border."""
    if not _checked(graph):
        return []
    lines = []
    own = {(s.argument, s.axis): i for i, s in enumerate(body.sizes.sources)}
    for number, value in enumerate(body.inputs):
        if value not in names:
            continue
        name = f"{names[value]!r}, {names[value]}"
        here = {axis: own.get((number, axis)) for axis in range(value.tensor.rank)}
        sources = [body.sizes.sources[i] for i in here.values() if i is not None]
        for s in (s for s in sources if s.multiple):
            ends = f"axis={s.axis}, factor={s.factor}{plus(s, 'plus=')}"
            lines.append(f"check_multiple({name}, {ends})")
        if len(sources) < len(here) or not all(s.plain or s.multiple for s in sources):
            shape = ", ".join(
                printer.static(value, axis)
                if isinstance(x, int)
                else dim_names[i]
                if (i := here[axis]) is not None and body.sizes.sources[i].multiple
                else render_tree(body.sizes.over(x, dim_names)).code
                for axis, x in enumerate(value.tensor.shape)
            )
            shape += "," if value.tensor.rank == 1 else ""
            lines.append(f"check_shape({name}, ({shape}))")
    for size, low, high in size_bounds(graph, body, dim_names):
        lines.append(f"check_size({str(size)!r}, {size}, {low}, {high})")
    return lines


def plus(source: DimSource, keyword: str = "") -> str:
    """The last argument of a check for a multiple, where there is one."""
    rest = source.start % source.factor
    return f", {keyword}{rest}" if rest else ""


def size_bounds(
    graph: Graph, body: Body, names: list[str]
) -> list[tuple[int | Expr, int, int | None]]:
    """Sizes with the bounds that are to be checked: of an axis, where its symbol is read there."""
    found: list[tuple[int | Expr, int, int | None]] = []
    known = body.sizes.symbols(names)
    for sym in graph.symbols():
        place = next((i for i, s in enumerate(body.sizes.sources) if s.name == sym.name), None)
        source = DimSource(-1, -1) if place is None else body.sizes.sources[place]
        size = known.get(sym.name) if place is None else d.symbol(names[place])
        low = source.factor * sym.low + source.start
        high = None if sym.high is None else source.factor * sym.high + source.start
        if size is not None and (low > source.factor or high is not None):
            found.append((size, low, high))
    return found


def _annotations(body: Body, root: Graph | None, names: list[str]) -> list[str]:
    if root is None:
        return ["mx.array"] * len(body.input_locals)
    kinds: dict[type, str] = {dict: "dict[str, mx.array]", tuple: "tuple", list: "list"}
    return [kinds.get(type(tree), "mx.array") for _, tree in root.arguments]


def _result_annotation(body: Body, root: Graph | None) -> str:
    result: Any = (
        root.result
        if root
        else tuple(body.region.outputs)
        if len(body.region.outputs) != 1
        else body.region.outputs[0]
    )
    return _annotation_of(result)


def _annotation_of(tree: Any) -> str:
    if isinstance(tree, dict):
        kinds = {_annotation_of(v) for v in tree.values()}
        return f"dict[str, {kinds.pop()}]" if len(kinds) == 1 else "dict"
    if isinstance(tree, tuple):
        return f"tuple[{', '.join(map(_annotation_of, tree))}]" if tree else "tuple"
    if isinstance(tree, list):
        return "list"
    return (
        "mx.array" if isinstance(tree, Value) else "None" if tree is None else type(tree).__name__
    )
