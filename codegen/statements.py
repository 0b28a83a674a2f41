"""The statements of a method over bound trees, and how Python prints them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..ir.dims import Expr
from ..ir.tree import Index
from .bound import Apply, Bound, Local, Member
from .render import ATOM, access, render_tree

Target = Any  # a Local, None for a result that nobody reads, or a tuple of targets


@dataclass(frozen=True)
class Open:
    """Takes a nested argument apart: `first_state, second_state = state`.

    `path` leads from the argument to the part: keys of dicts, places in tuples.
    """

    targets: Local | tuple[Local, ...]
    argument: Local
    path: tuple[str | int, ...]


@dataclass(frozen=True)
class Assign:
    """`h = x + y`, or `first, second = mx.split(x, 2)`."""

    target: Target
    value: Bound


@dataclass(frozen=True)
class For:
    """`for layer in self.layers: h = layer(h, mask)`, over the elements from start to stop."""

    each: Local
    list: Member
    start: int
    stop: int
    size: int  # of the whole list
    targets: tuple[Local, ...]
    call: Apply
    counter: Local | None = None  # of the turns, where an argument depends on it


@dataclass(frozen=True)
class Return:
    """What the method returns: a tree, or a nesting of them in dicts, tuples and lists.

    A method other than the model's own returns several values as `bare` tuple.
    """

    result: Any
    bare: bool = False


@dataclass(frozen=True)
class Carry:
    """`h, c = h + x, c * x`: all values are computed before any target changes."""

    targets: tuple[Local, ...]
    values: tuple[Bound, ...]


@dataclass(frozen=True)
class Size:
    """`N = indices.shape[1]`, or `N = read_size(x)` where there is no axis. Sizes are tokens."""

    size: Expr
    of: Bound
    axis: int | None = None


@dataclass(frozen=True)
class Named:
    """`L4 = -(-L // 4)`. The size is a token."""

    size: Expr
    value: int | Expr


@dataclass(frozen=True)
class Write:
    """`h[:, 2:] = x` for a variable whose array is its own; `call` makes a new array of the old."""

    target: Local
    places: tuple[Bound, ...]
    value: Bound
    call: Bound


@dataclass(frozen=True)
class If:
    """`if condition.item():`. The blocks assign `targets`, which C++ declares before."""

    condition: Bound
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]
    targets: tuple[Local, ...]


@dataclass(frozen=True)
class Turns:
    """`for i in range(trips):`, `while condition.item():`, or both; neither for `while True:`.

    `counter` is the token of the turn; Python shows it only where something reads it.
    """

    counter: Expr
    shown: bool
    trips: int | Expr | None
    condition: Bound | None
    block: tuple[Statement, ...]


@dataclass(frozen=True)
class Leave:
    """Ends the loop unless the condition holds."""

    condition: Bound


@dataclass(frozen=True)
class Rows:
    """An empty list."""

    rows: Local


@dataclass(frozen=True)
class Append:
    rows: Local
    value: Bound


Statement = (
    Open | Assign | For | Return | Carry | Size | Named | Write | If | Turns | Leave | Rows | Append
)
Lines = list[tuple[int, str]]
ELSE = "else:"
WAITS = "  # waits for the device"


def python_lines(statement: Statement) -> Lines:
    """(indent, code) of each line; every line but `ELSE` begins a Python statement."""
    match statement:
        case If():
            return _if(statement)
        case Turns():
            return _turns(statement)
        case Carry(targets, values):
            codes = ", ".join(render_tree(v).code for v in values)
            return [(0, f"{_targets(targets)} = {codes}")]
        case Size(size, of, None):
            return [(0, f"{size} = {render_tree(of).code}{WAITS}")]
        case Size(size, of, axis):
            return [(0, f"{size} = {render_tree(of).inside(ATOM)}.shape[{axis}]")]
        case Write(target, places, value):
            whole: Any = target
            place = render_tree(Index(whole, places)).code
            return [(0, f"{place} = {render_tree(value).code}")]
        case Named(size, value):
            return [(0, f"{size} = {render_tree(value).code}")]
        case Leave(condition):
            test = f"if not {render_tree(condition).inside(ATOM)}.item():{WAITS}"
            return [(0, test), (1, "break")]
        case Rows(rows):
            return [(0, f"{render_tree(rows).code} = []")]
        case Append(rows, value):
            return [(0, f"{render_tree(rows).code}.append({render_tree(value).code})")]
        case Open(targets, argument, path):
            code = render_tree(argument).code + "".join(f"[{step!a}]" for step in path)
            return [(0, f"{_targets(targets)} = {code}")]
        case Assign(target, value):
            return [(0, f"{_targets(target)} = {render_tree(value).code}")]
        case For(each=each, targets=targets, call=call):
            names = ", ".join(render_tree(t).code for t in targets)
            head = f"for {render_tree(each).code} in {_part(statement)}:"
            if statement.counter is not None:
                counted = f"{render_tree(statement.counter).code}, {render_tree(each).code}"
                head = f"for {counted} in enumerate({_part(statement)}):"
            return [
                (0, head),
                (1, f"{names} = {render_tree(call).code}"),
            ]
        case Return(result, True):
            return [(0, f"return {', '.join(render_tree(v).code for v in result)}")]
        case Return(result):
            return [(0, f"return {_structure(result)}")]


def block_lines(statements: tuple[Statement, ...]) -> Lines:
    """The lines of a block, one deeper."""
    return [(depth + 1, code) for s in statements for depth, code in python_lines(s)]


def _if(statement: If) -> Lines:
    test = f"{render_tree(statement.condition).inside(ATOM)}.item()"
    then, otherwise = block_lines(statement.then), block_lines(statement.otherwise)
    if not then and otherwise:
        return [(0, f"if not {test}:{WAITS}"), *otherwise]
    end = [(0, ELSE), *otherwise] if otherwise else []
    return [(0, f"if {test}:{WAITS}"), *(then or [(1, "pass")]), *end]


def _turns(loop: Turns) -> Lines:
    counter = str(loop.counter) if loop.shown else "_"
    block = block_lines(loop.block) or [(1, "pass")]
    if loop.condition is None and loop.trips is not None:
        return [(0, f"for {counter} in range({render_tree(loop.trips).code}):"), *block]
    test = "True"
    if loop.condition is not None:
        test = f"{render_tree(loop.condition).inside(ATOM)}.item()"
    if loop.trips is not None:
        test = f"{counter} < {render_tree(loop.trips).code} and {test}"
    waits = WAITS if loop.condition is not None else ""
    head = (0, f"while {test}:{waits}")
    if not loop.shown:
        return [head, *block]
    return [(0, f"{counter} = 0"), head, *block, (1, f"{counter} += 1")]


def loop_spans(statements: list[Statement], start: int = 0) -> list[tuple[int, int]]:
    """First and last line of every `Turns`, in lines from `start` on."""
    spans: list[tuple[int, int]] = []
    for statement in statements:
        count = len(python_lines(statement))
        match statement:
            case Turns(block=block):
                spans.append((start, start + count - 1))
                first = next(i for i, line in enumerate(python_lines(statement)) if line[0])
                spans += loop_spans(list(block), start + first)
            case If(then=then, otherwise=otherwise):
                spans += loop_spans(list(then), start + 1)
                spans += loop_spans(list(otherwise), start + count - len(block_lines(otherwise)))
        start += count
    return spans


def _part(loop: For) -> str:
    """The list, or the part of it that is looped over."""
    code = access(loop.list)
    if (loop.start, loop.stop) == (0, loop.size):
        return code
    return f"{code}[{loop.start or ''}:{loop.stop if loop.stop < loop.size else ''}]"


def _targets(target: Target) -> str:
    """Targets of an assignment; a part that nobody reads is one `_`."""
    if not isinstance(target, tuple):
        return _target(target)
    parts = [_target(t) for t in target]
    return f"{parts[0]}," if len(parts) == 1 else ", ".join(parts)


def _target(target: Target) -> str:
    if target is None:
        return "_"
    if not isinstance(target, tuple):
        return render_tree(target).code
    parts = [_target(t) for t in target]
    return "_" if all(p == "_" for p in parts) else f"({', '.join(parts)})"


def _structure(tree: Any) -> str:
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{k!a}: {_structure(v)}" for k, v in tree.items()) + "}"
    if isinstance(tree, tuple | list):
        inner = ", ".join(map(_structure, tree))
        if isinstance(tree, list):
            return f"[{inner}]"
        return f"({inner}{',' if len(tree) == 1 else ''})"
    return render_tree(tree).code
