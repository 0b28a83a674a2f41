"""Sizes of an exported program: torch's symbols become dims of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

from ..errors import TranspileError
from ..ir.dims import Expr, floordiv, maximum, minimum
from .equations import Sizes

Dim = int | Expr


def to_dim(size: Any, known: Callable[[str], Dim]) -> Dim:
    """The dim of a size of a fake tensor (an int or a SymInt); symbols are looked up in `known`."""
    return size if isinstance(size, int) else from_sympy(size.node.expr, known)


def from_sympy(expr: Any, known: Callable[[str], Dim]) -> Dim:
    """A sum of products of symbols, with floor divisions, minima and maxima."""
    if expr.is_Integer:
        return int(expr)
    if expr.is_Symbol:
        return known(str(expr))
    kind, args = type(expr).__name__, [from_sympy(a, known) for a in expr.args]
    if kind == "Pow" and isinstance(args[1], int) and args[1] > 0:
        return reduce(lambda a, b: a * b, [args[0]] * args[1])
    if kind not in _KINDS:
        raise TranspileError(f"an input has the size {expr}, which is no arithmetic of sizes")
    return _KINDS[kind](*args)


_KINDS: dict[str, Callable[..., Dim]] = {
    "Add": lambda *args: sum(args[1:], start=args[0]),
    "Mul": lambda *args: reduce(lambda a, b: a * b, args),
    "FloorDiv": floordiv,
    "CleanDiv": floordiv,
    "Mod": lambda a, b: a % b,
    "PythonMod": lambda a, b: a % b,
    "Max": maximum,
    "Min": minimum,
}


def captured_size(size: Any) -> int:
    """The size at capture; 2 where the archive does not tell."""
    if isinstance(size, int):
        return size
    hint = size.node.hint if size.node.has_hint() else None
    return int(hint) if hint is not None else 2


def symbols_of(values: Sequence[Any], ranges: Mapping[Any, Any]) -> Sizes:
    """torch's symbols in the inputs, in order, with their captured sizes and limits."""
    captured: dict[str, int] = {}
    limits: dict[str, tuple[int, int | None]] = {}
    known = {str(symbol): found for symbol, found in ranges.items()}
    for value in values:
        for size in value.shape:
            for symbol in _free(size):
                if str(symbol) not in captured:
                    captured[str(symbol)] = _symbol_size(symbol, size)
                    limits[str(symbol)] = _limits(known.get(str(symbol)))
    return Sizes(captured, limits={k: v for k, v in limits.items() if v != (1, None)})


def _free(size: Any) -> list[Any]:
    return [] if isinstance(size, int) else sorted(size.node.expr.free_symbols, key=str)


def _symbol_size(symbol: Any, size: Any) -> int:
    if size.node.expr == symbol:
        return captured_size(size)
    env = size.node.shape_env
    found = getattr(env, "backed_var_to_val", None) or getattr(env, "var_to_val", {})
    return int(found.get(symbol, 2))


def _limits(found: Any) -> tuple[int, int | None]:
    """Bounds of a symbol; 2 as the least is torch's own caution, not the model's."""
    if found is None:
        return 1, None
    low = int(found.lower) if found.lower.is_Integer and int(found.lower) > 2 else 1
    high = int(found.upper) if found.upper.is_Integer and int(found.upper) < 2**31 else None
    return low, high
