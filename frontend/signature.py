"""The inputs of a source model: names, nesting, element types and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import BadRequest
from ..ir import DType
from ..ir.graph import leaves
from .equations import Sizes
from .inputs import InputSpec, multiple_of
from .multiples import Multiple
from .probe import Axis
from .traced_inputs import Example

# Sizes to try named dims at, where nothing was captured: small, different, and even where many
# models need it.
_TRIAL_SIZES = (2, 8, 12, 6, 10, 4, 14, 16)


@dataclass
class Leaf:
    """One tensor among the inputs. Every dim has a symbol."""

    label: str
    hint: str
    dtype: DType
    shape: tuple[int, ...]
    symbols: tuple[str, ...]

    @property
    def spec(self) -> InputSpec:
        return InputSpec(self.label, self.shape, self.dtype)

    def sample(self) -> np.ndarray:
        """An array of this type that most models accept: zeros for integers, ones for booleans."""
        if self.dtype is DType.bool:
            return np.ones(self.shape, bool)
        if self.dtype.is_integer:
            return np.zeros(self.shape, self.dtype.numpy)
        return np.asarray(np.random.default_rng(0).standard_normal(self.shape)).astype(
            self.dtype.numpy
        )


@dataclass
class Signature:
    """Arguments in the source's order. `trees` nests leaves; `given` are names by the user, and
    `multiples` the dims that are multiples of one.
    """

    names: list[str]
    trees: list[Any]
    given: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, int] = field(default_factory=dict)
    multiples: dict[str, tuple[str, Multiple]] = field(default_factory=dict)

    def leaves(self) -> list[Leaf]:
        return [leaf for leaf in leaves(self.trees) if isinstance(leaf, Leaf)]

    def nest(self, flat: Sequence[Any]) -> list[Any]:
        """The arguments, with the leaves replaced in order."""
        rest = iter(flat)
        return [_replace(tree, rest) for tree in self.trees]

    @property
    def baked(self) -> dict[str, Any]:
        """Arguments without a tensor: they keep the value that they had at capture."""
        return {n: t for n, t in zip(self.names, self.trees) if not _has_leaf(t)}

    def axes(self) -> list[Axis]:
        return [
            Axis(leaf.label, i, symbol, len(leaf.shape), leaf.dtype.is_float)
            for leaf in self.leaves()
            for i, symbol in enumerate(leaf.symbols)
        ]

    def sizes(self) -> Sizes:
        sizes = Sizes({s: n for leaf in self.leaves() for s, n in zip(leaf.symbols, leaf.shape)})
        for symbol, size in self.fixed.items():
            sizes.fix(symbol, size, "given as a number")
        for symbol, (name, multiple) in self.multiples.items():
            sizes.divide(symbol, multiple, "given as a multiple", name)
        sizes.stated = frozenset(self.given)
        return sizes


def _has_leaf(tree: Any) -> bool:
    return any(isinstance(leaf, Leaf) for leaf in leaves(tree))


def _replace(tree: Any, rest: Any) -> Any:
    if isinstance(tree, Leaf):
        return next(rest)
    if isinstance(tree, dict):
        return {k: _replace(v, rest) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_replace(v, rest) for v in tree)
    return tree


def from_examples(names: list[str], examples: list[Any]) -> Signature:
    """From a traced archive's example inputs: every dim is a symbol of its own."""

    def build(label: str, hint: str, example: Any) -> Any:
        if isinstance(example, Example):
            symbols = tuple(f"{label}.{axis}" for axis in range(len(example.shape)))
            return Leaf(label, hint, example.dtype, example.shape, symbols)
        if isinstance(example, dict):
            return {k: build(f"{label}.{k}", _word(k, hint), v) for k, v in example.items()}
        if isinstance(example, list | tuple):
            return type(example)(build(f"{label}.{i}", hint, v) for i, v in enumerate(example))
        return example

    return Signature(names, [build(n, n, e) for n, e in zip(names, examples)])


def _word(key: Any, otherwise: str) -> str:
    return key if isinstance(key, str) and key.isidentifier() else otherwise


def from_specs(
    names: list[str],
    types: Sequence[Any],
    defaults: dict[str, Any],
    specs: list[InputSpec],
    examples: dict[str, Any],
    scale: int = 1,
) -> Signature:
    """From what the user states; BadRequest where names do not match the source's.

    Arguments that are not described are as the archive's `examples` have them, or keep their
    defaults. Dims without a size have the example's, or are tried at small ones, times `scale`
    unless they lead.
    """
    by_name = {spec.name: spec for spec in specs}
    found = Signature(list(names), [])
    trial = _trial_sizes(specs, scale) | _example_sizes(specs, examples)
    for name, type in zip(names, types):
        stated = any(s == name or s.startswith(f"{name}.") for s in by_name)
        if name in examples and not stated:
            found.trees.append(from_examples([name], [examples[name]]).trees[0])
        elif name in defaults and not stated:
            found.trees.append(defaults[name])
        else:
            found.trees.append(_tree(name, name, type, by_name, found, trial))
    if by_name:
        raise BadRequest(
            f"the model has no input {', '.join(map(repr, by_name))}",
            hint=f"its inputs are {', '.join(names)}",
        )
    return found


def _trial_sizes(specs: Sequence[InputSpec], scale: int) -> dict[str, int]:
    """A size for each named dim, in order of appearance."""
    stated = [d for spec in specs for d in spec.dims if isinstance(d, str)]
    names = list(dict.fromkeys(multiple_of(d)[0] for d in stated))
    leading = {spec.dims[0] for spec in specs if spec.dims}
    sizes = (_TRIAL_SIZES[i % len(_TRIAL_SIZES)] for i in range(len(names)))
    return {n: size if n in leading else size * scale for n, size in zip(names, sizes)}


def _example_sizes(specs: Sequence[InputSpec], examples: dict[str, Any]) -> dict[str, int]:
    """Sizes of named dims, where the archive has an example of that input."""
    sizes: dict[str, int] = {}
    for spec in specs:
        example = examples.get(spec.name)
        if isinstance(example, Example) and len(example.shape) == len(spec.dims):
            for dim, size in zip(spec.dims, example.shape):
                name, factor, start = multiple_of(dim) if isinstance(dim, str) else ("", 1, 0)
                if name and (size - start) % factor == 0 and size > start:
                    sizes.setdefault(name, (size - start) // factor)
    return sizes


def _tree(
    label: str,
    hint: str,
    type: Any,
    specs: dict[str, InputSpec],
    found: Signature,
    trial: dict[str, int],
) -> Any:
    """The leaf or nesting that the specs give one argument; None for one that may be left out."""
    if label in specs and type is not None and type.kind() in ("IntType", "BoolType"):
        return _number(label, specs.pop(label), type.kind() == "BoolType")
    if label in specs:
        return _leaf(label, hint, specs.pop(label), found, trial)
    inside = [s for s in specs if s.startswith(f"{label}.")]
    kind = type.kind() if type is not None else ""
    if inside and kind == "DictType":
        keys = dict.fromkeys(s.removeprefix(f"{label}.").split(".")[0] for s in inside)
        return {k: _tree(f"{label}.{k}", _word(k, hint), None, specs, found, trial) for k in keys}
    if inside and kind in ("TupleType", "ListType"):
        count = len({s.removeprefix(f"{label}.").split(".")[0] for s in inside})
        items = [_tree(f"{label}.{i}", hint, None, specs, found, trial) for i in range(count)]
        return tuple(items) if kind == "TupleType" else items
    if kind in ("OptionalType", "NoneType"):
        return None
    form = "NUMBER" if kind in ("IntType", "BoolType") else "DIMS:DTYPE"
    raise BadRequest(f"the input {label!r} is not described", hint=f"--input {label}={form}")


def _number(label: str, spec: InputSpec, boolean: bool) -> int | bool:
    """An argument that is a number of the source, not a tensor: it keeps the value given."""
    if len(spec.dims) != 1 or not isinstance(spec.dims[0], int):
        raise BadRequest(
            f"the input {label!r} is a number", where=f"--input {spec}", hint=f"--input {label}=1"
        )
    return bool(spec.dims[0]) if boolean else spec.dims[0]


def _leaf(label: str, hint: str, spec: InputSpec, found: Signature, trial: dict[str, int]) -> Leaf:
    symbols, shape = [], []
    for axis, dim in enumerate(spec.dims):
        if isinstance(dim, int):
            symbol = f"{label}.{axis}"
            found.fixed[symbol] = dim
            size = dim
        else:
            name, factor, start = multiple_of(dim)
            found.given[name] = name
            symbol, size = name, factor * trial[name] + start
            if (factor, start) != (1, 0):
                symbol = f"{label}.{axis}"
                found.multiples[symbol] = name, Multiple(factor, -start)
        symbols.append(symbol)
        shape.append(size)
    return Leaf(label, hint, spec.dtype, tuple(shape), tuple(symbols))
