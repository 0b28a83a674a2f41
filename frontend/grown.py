"""Lists that grew in a loop of unknown length: their items lie stacked in one tensor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import TranspileError
from ..ir import Builder, Value
from ..ir.dims import Expr
from .alias import Handle, owner
from .aten_common import expand_dims, reshaped


@dataclass(frozen=True)
class Run:
    """Items of a list: as many as the loop had turns, stacked on a new first axis."""

    rows: Handle
    count: int | Expr


class Open:
    """Stands in a list for the items that earlier turns of the loop under way appended."""


OPEN = Open()


def holds_run(value: Any) -> bool:
    """Whether the value is a list some of whose items are no objects of their own."""
    return isinstance(value, list | tuple) and any(isinstance(v, Run | Open) for v in value)


def on_list(b: Builder, name: str, items: list[Any], args: list[Any]) -> Any:
    """An op on a list that grew in a loop; TranspileError for what needs its items one by one."""
    if any(isinstance(v, Open) for v in items):
        raise TranspileError(
            "a loop reads a list that it appends to",
            hint="carry what the next turn needs in a variable of its own",
        )
    rules: dict[str, Callable[..., Any]] = {
        "len": _length, "__getitem__": _item, "stack": _stack, "cat": _cat,
    }  # fmt: skip
    function = rules.get(name)
    if function is None:
        raise TranspileError(
            f"{name} of a list that grew in a loop", hint="torch.stack and torch.cat work"
        )
    return function(b, items, *args)


def _length(b: Builder, items: list[Any]) -> Any:
    total: Any = 0
    for item in items:
        total = total + (item.count if isinstance(item, Run) else 1)
    return total


def _item(b: Builder, items: list[Any], index: Any) -> Any:
    """An item counted from the front before the run, or from the end."""
    if isinstance(index, int):
        ahead = items[:index] if index >= 0 else items[len(items) + index + 1 :]
        if not any(isinstance(v, Run) for v in ahead) and -len(items) <= index < len(items):
            found = items[index]
            if not isinstance(found, Run):
                return found
            at = 0 if index >= 0 else found.count - 1
            return owner(b.op("select", _value(found.rows), axis=0, index=at))
    single = items[0] if len(items) == 1 and isinstance(items[0], Run) else None
    if single is not None and isinstance(index, Expr):
        return owner(b.op("select", _value(single.rows), axis=0, index=index))
    raise TranspileError(f"item {index} of a list that grew in a loop", hint="torch.stack it first")


def _value(handle: Handle) -> Value:
    from .alias import read

    return read(handle.place)


def _stack(b: Builder, items: list[Any], dim: int = 0) -> Handle:
    parts = []
    for item in items:
        value = _value(item.rows if isinstance(item, Run) else item)
        parts.append(value if isinstance(item, Run) else expand_dims(b, value, 0))
    whole = parts[0] if len(parts) == 1 else b.op("concatenate", *parts, axis=0)
    return owner(_moved(b, whole, dim % whole.tensor.rank), dense=True)


def _cat(b: Builder, items: list[Any], dim: int = 0) -> Handle:
    parts = []
    for item in items:
        if not isinstance(item, Run):
            parts.append(_value(item))
            continue
        value = _value(item.rows)
        at = dim % (value.tensor.rank - 1)
        value = _moved(b, value, at)
        shape = value.tensor.shape
        parts.append(reshaped(b, value, (*shape[:at], shape[at] * shape[at + 1], *shape[at + 2 :])))
    at = dim % parts[0].tensor.rank
    whole = parts[0] if len(parts) == 1 else b.op("concatenate", *parts, axis=at)
    return owner(whole, dense=True)


def _moved(b: Builder, x: Value, at: int) -> Value:
    """The first axis at another place."""
    order = list(range(1, x.tensor.rank))
    order.insert(at, 0)
    moved: Value = b.op("transpose", x, axes=tuple(order)) if at else x
    return moved
