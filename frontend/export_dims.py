"""Sizes of an exported program: torch's symbols become dims of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from math import gcd
from typing import Any

from ..errors import BadRequest, TranspileError
from ..ir.dims import Expr, floordiv, line, maximum, minimum, substitute, symbols
from ..ir.dims import symbol as own_symbol
from .equations import Sizes
from .export_guards import guarded_equations, guarded_limits
from .inputs import InputSpec, multiple_of
from .multiples import Multiple, multiples, tighter
from .probe import Axis, readable_names
from .schema import dtype_from_torch
from .solving import falls

Dim = int | Expr


def to_dim(size: Any, known: Callable[[str], Dim]) -> Dim:
    """The dim of a size of a fake tensor (an int or a SymInt); symbols are looked up in `known`."""
    size = plain(size)
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


class InputDims:
    """Every dim of every input has a symbol of its own; the export says which it fixed or tied.

    `fakes` are (name, fake tensor) for the inputs in order; `fixed` is said of plain sizes;
    `guards` are the conditions on sizes under which the export holds.
    """

    def __init__(
        self,
        fakes: Sequence[tuple[str, Any]],
        ranges: Mapping[Any, Any],
        fixed: str = "fixed by the export",
        guards: Sequence[str] = (),
    ):
        self.fakes, self.fixed = fakes, fixed
        self.given: dict[str, str] = {}
        self.axes = [
            Axis(name, i, f"{name}.{i}", len(fake.shape), fake.dtype.is_floating_point)
            for name, fake in fakes
            for i in range(len(fake.shape))
        ]
        self._owner: dict[str, str] = {}
        captured = {f"{n}.{i}": captured_size(d) for n, f in fakes for i, d in enumerate(f.shape)}
        self.sizes = Sizes(captured)
        self._own_plain_dims()
        self._limit({str(symbol): found for symbol, found in ranges.items()})
        self._guard(guards)
        self._tie()
        self._divide(guards)

    def shapes(self, known: Mapping[str, Dim]) -> list[tuple[Dim, ...]]:
        """The shape of each input, given what the symbols stand for."""
        return [tuple(known[f"{n}.{i}"] for i in range(len(f.shape))) for n, f in self.fakes]

    def names(self) -> dict[str, str]:
        """Readable names for the symbols that stay free."""
        return readable_names(self.axes, self.sizes, self.given)

    def state(self, spec: InputSpec) -> None:
        """One `--input`: fixes sizes and names dims; BadRequest where the export says otherwise."""
        text = f"--input {spec}"
        found = dict(self.fakes).get(spec.name)
        if found is None:
            known = ", ".join(name for name, _ in self.fakes)
            raise BadRequest(
                f"the model has no input {spec.name!r}", hint=f"its inputs are {known}"
            )
        dtype = dtype_from_torch(found.dtype)
        if dtype is not spec.dtype or len(found.shape) != len(spec.dims):
            actual = f"{dtype} of rank {len(found.shape)}"
            raise BadRequest(f"the input {spec.name!r} is {actual} in the export", where=text)
        for axis, dim in enumerate(spec.dims):
            self._state(f"{spec.name}.{axis}", dim, text)

    def _state(self, name: str, dim: int | str, text: str) -> None:
        current = self.sizes.of(name)
        if isinstance(dim, int) and isinstance(current, int) and current != dim:
            raise BadRequest(f"the export fixed this dim to {current}", where=text)
        if isinstance(current, int):
            if isinstance(dim, str):
                hint = f"write {current} in the place of {dim}"
                raise BadRequest(
                    f"the export fixed the dim {dim!r} to {current}", where=text, hint=hint
                )
            return
        if isinstance(dim, int):
            self._state_size(name, dim, text)
        else:
            self._state_name(name, dim, text)
            self.sizes.stated = frozenset(self.given)

    def _state_size(self, name: str, size: int, text: str) -> None:
        """Fix a dim that is free, or a multiple, by the symbol that it is made of."""
        found = line(self.sizes.of(name))
        if found is None:
            self.sizes.captured[name] = size
            self.sizes.fix(name, size, f"stated by {text}")
            return
        symbol, slope, start = found
        if (size - start) % slope or size < slope + start:
            raise BadRequest(
                f"the export has {Multiple(slope, -start)} there, not {size}", where=text
            )
        self.sizes.captured[symbol.name] = (size - start) // slope
        self.sizes.fix(symbol.name, (size - start) // slope, f"stated by {text}")
        known = {n: self.sizes.of(n) for n in self.sizes.captured}
        self.sizes.captured.update((n, d) for n, d in known.items() if isinstance(d, int))

    def _state_name(self, name: str, dim: str, text: str) -> None:
        """Name the symbol of a dim, divided further where the user states a multiple."""
        own, factor, start = multiple_of(dim)
        found = line(self.sizes.of(name))
        symbol = found[0].name if found is not None else name
        slope = found[1] if found is not None else 1
        if (self.sizes.captured[name] - start) % factor:
            size = self.sizes.captured[name]
            raise BadRequest(f"the export's example has {size} for {dim!r}", where=text)
        if slope % factor:
            further = factor // gcd(slope, factor)
            around = Multiple.around(self.sizes.captured[symbol], further)
            symbol = self.sizes.divide(symbol, around, f"stated by {text}")
        self.given[symbol] = own

    # ---- what the export says

    def _own_plain_dims(self) -> None:
        """The first dim that is a torch symbol by itself stands for that symbol."""
        for name, size in self._each():
            if not isinstance(size, int) and size.node.expr.is_Symbol:
                self._owner.setdefault(str(size.node.expr), name)
        for name, size in self._each():
            free = set() if isinstance(size, int) else size.node.expr.free_symbols
            for symbol in sorted(free, key=str):
                if self._owner.setdefault(str(symbol), str(symbol)) != str(symbol):
                    continue
                dim = to_dim(size, own_symbol)
                if found := line(dim):
                    multiple = Multiple(found[1], -found[2])
                    self.sizes.divide(name, multiple, "in the export", str(symbol))
                elif str(symbol) not in self.sizes.captured:
                    # No input has this size, or a multiple of it: nothing could read it.
                    self.sizes.captured[str(symbol)] = _symbol_size(symbol, size)
                    self.sizes.fix(str(symbol), _symbol_size(symbol, size), "")

    def _each(self) -> list[tuple[str, Any]]:
        return [(f"{n}.{i}", plain(d)) for n, f in self.fakes for i, d in enumerate(f.shape)]

    def _limit(self, ranges: Mapping[str, Any]) -> None:
        for symbol, owner in self._owner.items():
            found = _limits(ranges.get(symbol))
            if found != (1, None):
                self.sizes.limits[owner] = found

    def _guard(self, guards: Sequence[str]) -> None:
        sizes = dict(self._each())
        for name, limits in guarded_limits(guards, self.sizes.captured).items():
            size = sizes.get(name, 0)
            if isinstance(size, int) or limits == (1, None):
                continue
            owner = self._owner.get(str(size.node.expr))
            if owner is None and (found := line(self.sizes.of(name))):
                owner, limits = found[0].name, Multiple(found[1], -found[2]).limits(limits)
            if owner is not None:
                self.sizes.limits[owner] = tighter(limits, self.sizes.limits.get(owner, (1, None)))

    def _divide(self, guards: Sequence[str]) -> None:
        """Sizes that the export holds to be multiples: `size % 4 == 0`."""
        for name, difference, guard in guarded_equations(guards):
            if name in self.sizes.captured:
                rest = substitute(difference, {name: self.sizes.of(name)})
                found = multiples(rest, self.sizes.captured, self.sizes.limits)
                for symbol, multiple in found.items():
                    self.sizes.divide(symbol, multiple, f"the export needs {guard}")

    def _tie(self) -> None:
        multiple = {old for old, _, _ in self.sizes.wholes.values()}
        for name, size in self._each():
            if name in multiple:
                continue
            if isinstance(size, int):
                self.sizes.fix(name, size, self.fixed)
            elif self._owner.get(str(size.node.expr)) != name:
                dim = to_dim(size, lambda s: self.sizes.of(self._owner[s]))
                if isinstance(dim, Expr) and falls(dim):
                    self._fix(dim, f"fixed: the export has {size.node.expr} as an input's size")
                    dim = to_dim(size, lambda s: self.sizes.of(self._owner[s]))
                alone = f"fixed: the export has only {size.node.expr} as an input's size"
                self.sizes.known[name] = dim
                self.sizes.evidence[name] = "tied in the export" if isinstance(dim, Expr) else alone

    def _fix(self, dim: Expr, why: str) -> None:
        """Fix the symbols of a size that falls where another rises: widths with a constant sum."""
        for symbol in symbols(dim):
            self.sizes.fix(symbol.name, self.sizes.captured[symbol.name], why)


def plain(size: Any) -> Any:
    """An int where the size is one: torch keeps objects for sizes that it came to fix."""
    if isinstance(size, int):
        return int(size)
    return int(size.node.expr) if size.node.expr.is_Integer else size


def captured_size(size: Any) -> int:
    """The size at capture; 2 where the archive does not tell."""
    size = plain(size)
    if isinstance(size, int):
        return size
    hint = size.node.hint if size.node.has_hint() else None
    return int(hint) if hint is not None else 2


def _symbol_size(symbol: Any, size: Any) -> int:
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
