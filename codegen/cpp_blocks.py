"""Blocks inside a C++ method, and sizes that depend on data: `statements.py` has them in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .bound import Bound, Local
from .statements import Append, Carry, If, Leave, Named, Rows, Size, Statement, Turns, Write

if TYPE_CHECKING:
    from .cpp_methods import MethodPrinter

WAITS = "// waits for the device"


def print_block(p: MethodPrinter, statement: Statement) -> None:
    """Add the lines of a statement that has blocks, or stands in one."""
    match statement:
        case If():
            _if(p, statement)
        case Turns():
            _turns(p, statement)
        case Carry(targets, values):
            names = [p.names[t.index] for t in targets]
            codes = ", ".join(p.code(v) for v in values)
            p.add(f"std::tie({', '.join(names)}) = std::make_tuple({codes});")
            p.assigned |= set(names)
        case Size(name, of, None):
            p.add(f"int {name} = {p.code(of)}; {WAITS}")
        case Size(name, of, axis):
            p.add(f"int {name} = {p.code(of)}.shape({axis});")
        case Write(target, call=call):
            p.assign([target], call)
        case Named(name, value):
            p.add(f"int {name} = {p.code(value)};")
        case Leave(condition):
            p.add(f"if (!{_holds(p, condition)}) {{ {WAITS}")
            p.add("break;", 1)
            p.add("}")
        case Rows(rows):
            p.add(f"std::vector<mx::array> {p.names[rows.index]};")
        case Append(rows, value):
            p.add(f"{p.names[rows.index]}.push_back({p.code(value)});")


def _holds(p: MethodPrinter, condition: Bound) -> str:
    return f"nn::holds({p.code(condition)})"


def _if(p: MethodPrinter, statement: If) -> None:
    for target in statement.targets:
        _declare(p, target)
    test = _holds(p, statement.condition)
    sides = (statement.then, statement.otherwise)
    if not statement.then and statement.otherwise:
        test, sides = f"!{test}", (statement.otherwise, ())
    p.add(f"if ({test}) {{ {WAITS}")
    _block(p, sides[0])
    if sides[1]:
        p.add("} else {")
        _block(p, sides[1])
    p.add("}")


def _declare(p: MethodPrinter, target: Local) -> None:
    name = p.names[target.index]
    if name not in p.declared:
        p.add(f"auto {name} = mx::array(0);")
        p.declared.add(name)


def _turns(p: MethodPrinter, loop: Turns) -> None:
    tests = []
    counter = str(loop.counter)
    if loop.trips is not None:
        trips = loop.trips if isinstance(loop.trips, int) else p.code(loop.trips)
        tests.append(f"{counter} < {trips}")
    if loop.condition is not None:
        tests.append(_holds(p, loop.condition))
    test = f" {' && '.join(tests)}" if tests else ""
    waits = f" {WAITS}" if loop.condition is not None else ""
    p.add(f"for (int {counter} = 0;{test}; ++{counter}) {{{waits}")
    _block(p, loop.block)
    p.add("}")


def _block(p: MethodPrinter, statements: tuple[Statement, ...]) -> None:
    """What a block declares is gone behind it."""
    outer, p.declared = p.declared, set(p.declared)
    p.depth += 1
    for statement in statements:
        p.statement(statement)
    p.depth -= 1
    p.declared = outer


__all__ = ["print_block"]
