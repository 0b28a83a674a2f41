"""ATen calls on host values: numbers, sizes, strings, lists and dicts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..errors import TranspileError
from ..ir.dims import floordiv, maximum, product
from . import host
from .plan import Instruction


def on_host(op: Instruction, values: list[Any]) -> tuple[bool, Any]:
    """An ATen op on numbers, sizes, strings and lists: (whether it has a rule, the result)."""
    name = op.name
    if name in LISTS:
        return True, LISTS[name](*values)
    if name in host.NUMBERS and values and all(_plain(v) for v in values):
        return True, _number(name, op, values)
    return False, None


def _plain(value: Any) -> bool:
    return (
        value is None
        or isinstance(value, str | host.Condition)
        or host.is_number(value)
        or (isinstance(value, list | tuple) and all(_plain(v) for v in value))
    )


def _number(name: str, op: Instruction, values: list[Any]) -> Any:
    names = [p.name for p in op.schema.parameters]
    keep = [v for n, v in zip(names, values) if n not in ("alpha", "rounding_mode")]
    mode = {n: v for n, v in zip(names, values) if n == "rounding_mode"}
    if name in ("eq", "ne") and not all(host.is_number(v) for v in keep):
        return (keep[0] == keep[1]) == (name == "eq")
    if name == "add" and isinstance(keep[0], str | list | tuple):
        return keep[0] + keep[1]
    if name == "mul" and isinstance(keep[0], list):
        return keep[0] * keep[1]
    if name == "round":
        keep = keep[:1]
    return host.NUMBERS[name](*keep, **mode)


def _item(container: Any, key: Any) -> Any:
    try:
        return container[key]
    except (IndexError, KeyError) as error:
        raise TranspileError(f"{key!r} is not in the list or dict that the model reads") from error


def _set_item(container: Any, key: Any, value: Any) -> Any:
    container[key] = value
    return container


def _append(container: list[Any], value: Any) -> list[Any]:
    container.append(value)
    return container


def _extend(container: list[Any], values: list[Any]) -> list[Any]:
    container.extend(values)
    return container


def _slice_list(items: Any, start: Any = None, stop: Any = None, step: Any = 1) -> Any:
    return items[start:stop:step]


def _range_length(low: Any, high: Any, step: Any) -> Any:
    return maximum(-floordiv(low - high, step), 0)


def _format(text: str, *values: Any) -> str:
    """Each `{}` replaced in turn: the only placeholder that saved graphs know."""
    for value in values:
        text = text.replace("{}", str(value), 1)
    return text


# Rules that hold whatever the list holds, tensors too.
LISTS: dict[str, Callable[..., Any]] = {
    "len": len, "__getitem__": _item, "_set_item": _set_item, "append": _append,
    "__contains__": lambda items, key: key in items, "keys": lambda d: list(d),
    "values": lambda d: list(d.values()), "items": lambda d: list(d.items()), "list": list,
    "copy": lambda c: c.copy(), "extend": _extend, "add_": _extend,
    "__not__": host.negate,
    "format": _format, "str": str, "warn": lambda *_: None, "slice": _slice_list,
    "__range_length": _range_length, "__derive_index": lambda i, start, step: start + i * step,
    "pop": lambda items, i=-1: items.pop(i), "insert": lambda items, i, v: items.insert(i, v),
    "reverse": lambda items: items.reverse(), "lower": str.lower, "upper": str.upper,
    "startswith": lambda s, p, *r: s.startswith(p),
    "get": lambda d, k, default=None: d.get(k, default),
    "Int": host.to_int, "Float": host.to_float,
    "Bool": lambda v: v if isinstance(v, host.Condition) else bool(v),
    "IntImplicit": host.to_int, "FloatImplicit": host.to_float, "ScalarImplicit": lambda v: v,
    "sum": lambda items: sum(items[1:], start=items[0]) if items else 0, "any": any, "all": all,
    "is_scripting": lambda: True, "prod": lambda items: product(items), "dict": dict,
    "isinf": math.isinf, "isnan": math.isnan,
}  # fmt: skip
