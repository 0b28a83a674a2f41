"""From parameter recipes to the remap script, its constants and the weights file."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..ir import recipe as rcp
from ..ir.graph import Numbers, Param
from ..ir.types import DType, dtype_of
from . import packing, quantize, tensorfile
from .patterns import Row, generalise
from .quantize import Choice
from .template import formatted, render

_NARROW = {DType.f64: DType.f32, DType.c128: DType.c64}


def stored(dtype: DType, floats: DType | None = None) -> DType:
    """The dtype of a parameter in the weights file: one that MLX can load, `floats` for floats."""
    return floats if floats and dtype.is_float else _NARROW.get(dtype, dtype)


# ---- rules


@dataclass(frozen=True)
class Rules:
    """The tables of the remap script. Sources that begin with `prefix` are constants."""

    copied: list[Row]
    changed: list[Row]
    made: list[Row]
    aliases: list[Row]
    facts: list[Row]
    triangles: bool  # among the facts
    unused: list[Row]
    prefix: str
    layers: list[Row]
    precise: list[Row]
    precise_names: frozenset[str]
    packed: list[Row]
    quantized: bool = False  # the source holds weights as whole numbers
    onnx: bool = False  # the source is an ONNX model, which the script reads as well

    @property
    def digest(self) -> str:
        """Names what converted files hold: equal rules make equal files."""
        rows = sorted(map(repr, [*self.copied, *self.changed, *self.made]))
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def make_rules(
    parameters: Mapping[str, Param],
    available: Collection[str],
    aliases: Mapping[str, str],
    facts: Mapping[str, Numbers] | None = None,
    layers: Mapping[str, str] | None = None,
    precise: Collection[str] = (),
    packed: Mapping[str, tuple[int, int]] | None = None,
    onnx: bool = False,
) -> Rules:
    """The rules for all parameters.

    `available` are the source's tensors, `aliases` the second names of tied ones, `facts` the
    numbers of tensors that became part of the code, `layers` those that may be
    quantized (see `quantize.layers`), `precise` those that stay float32, `packed` bits and group
    size of layers that can stay as whole numbers; `onnx` says that the source is an ONNX model.
    """
    facts = facts or {}
    read = {name for param in parameters.values() for name in rcp.reads(param.recipe)}
    prefix = _constant_prefix({*read, *available})
    packed = packed or {}
    rows = [
        _row(name, param, prefix, name.removesuffix(".weight") in packed)
        for name, param in parameters.items()
    ]
    patterns = generalise(_in_order(rows, available))
    kept = [row for row in patterns if row.sources == (row.target,)]
    second = {o: first for o, first in aliases.items() if first in read and o not in read}
    known = {*read, *second, *facts}
    return Rules(
        copied=[row for row in kept if not row.code],
        changed=[row for row in kept if row.code],
        made=[replace(row, code=row.code or "None") for row in patterns if row not in kept],
        aliases=generalise([Row(other, (first,)) for other, first in second.items()]),
        facts=generalise([Row(name, (), _fact(value)) for name, value in facts.items()]),
        triangles=any(isinstance(value, tuple) for value in facts.values()),
        unused=generalise([Row(name, ()) for name in available if name not in known]),
        prefix=prefix,
        layers=generalise([Row(name, (), words) for name, words in (layers or {}).items()]),
        precise=generalise([Row(name, ()) for name in precise]),
        precise_names=frozenset(precise),
        packed=_packed_rows(packed, layers or {}),
        quantized=any(
            isinstance(r, rcp.Dequantize)
            for p in parameters.values()
            for r in rcp.recipes_in(p.recipe)
        ),
        onnx=onnx,
    )


def _packed_rows(packed: Mapping[str, tuple[int, int]], layers: Iterable[str]) -> list[Row]:
    """Bits and group sizes by patterns of names that no other layer has."""
    text = {name: f"{bits}, {group}" for name, (bits, group) in packed.items()}
    rows = generalise([Row(name, (), text.get(name, "")) for name in layers])
    return [row for row in rows if row.code]


def _in_order(rows: list[Row], available: Iterable[str]) -> list[Row]:
    """The rows in the order in which the source's tensors stand; constants come last."""
    place = {name: number for number, name in enumerate(available)}
    return sorted(rows, key=lambda row: min(place.get(str(s), len(place)) for s in row.sources))


def _fact(value: Numbers) -> str:
    if isinstance(value, tuple):
        return f"({value[0]}, {_number(value[1])}, {_number(value[2])})"
    return repr(value if isinstance(value, range) else int(value))


def _number(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'float("{value}")'


def _constant_prefix(names: set[str]) -> str:
    """A prefix that no tensor of the source has."""
    prefix = "constant:"
    while any(name.startswith(prefix) for name in names):
        prefix += ":"
    return prefix


def constant_names(target: str, recipe: rcp.Recipe, prefix: str) -> dict[str, rcp.Constant]:
    """The names under which the constants of a parameter's recipe travel."""
    found = list(_constants(recipe))
    names = [prefix + target, *(f"{prefix}{target}:{i}" for i in range(1, len(found)))]
    return dict(zip(names, found))


def _constants(recipe: rcp.Recipe) -> Iterator[rcp.Constant]:
    if isinstance(recipe, rcp.Constant):
        yield recipe
    for part in rcp.parts(recipe):
        yield from _constants(part)


def _row(target: str, param: Param, prefix: str, packed: bool = False) -> Row:
    """How the tensor is made; of a layer that can stay packed, what the script packs."""
    found = packing.fit(param) if packed else ""
    recipe = found.weight if isinstance(found, packing.Fit) else param.recipe
    constants = iter(constant_names(target, recipe, prefix))
    sources: dict[str, str] = {}

    def variable(source: str) -> str:
        return sources.setdefault(source, _letter(len(sources)))

    if isinstance(recipe, rcp.Dequantize) and packed:
        body = _quantized_code(recipe, variable, constants)
    else:
        body = _code(recipe, variable, constants)
    code = "" if body == "a" else f"lambda {', '.join(sources.values())}: {body}"
    return Row(target, tuple(sources), code)


def _letter(index: int) -> str:
    return chr(ord("a") + index) if index < 26 else f"a{index}"


def _code(recipe: rcp.Recipe, variable: Callable[[str], str], constants: Iterator[str]) -> str:
    """The recipe as MLX code; what stands before a dot is a name or a call."""

    def of(inner: rcp.Recipe, least: int = 9) -> str:
        code = _code(inner, variable, constants)
        return f"({code})" if _INFIX.get(type(inner), ("", 9))[1] < least else code

    match recipe:
        case rcp.Read(name):
            return variable(name)
        case rcp.Constant():
            return variable(next(constants))
        case rcp.Permute(inner, axes):
            return f"{of(inner)}.transpose({', '.join(map(str, axes))})"
        case rcp.Reshape(inner, shape):
            return f"{of(inner)}.reshape({list(shape)})"
        case rcp.Cast(inner, dtype):
            return f"{of(inner)}.astype(mx.{stored(dtype).mlx})"
        case rcp.Slice(inner, axis, start, stop):
            return f"{of(inner)}[{':, ' * axis}{start}:{stop}]"
        case rcp.Concatenate(parts, axis):
            codes = ", ".join(_code(p, variable, constants) for p in parts)
            return f"mx.concatenate([{codes}], axis={axis})"
        case rcp.Number(value):
            return repr(value)
        case rcp.Zeros(shape, dtype):
            return f"mx.zeros({list(shape)}, mx.{stored(dtype).mlx})"
        case rcp.Rsqrt(inner):
            return f"{of(inner)}.rsqrt()"
        case rcp.Norm(inner, axes):
            return f"{of(inner)}.square().sum(axis={list(axes)}, keepdims=True).sqrt()"
        case rcp.Unpack(inner, bits):
            return f"unpacked({_code(inner, variable, constants)}, {bits})"
        case rcp.Dequantize():
            return f"{_quantized_code(recipe, variable, constants)}.floats()"
        case _:
            symbol, order = _INFIX[type(recipe)]
            return f"{of(recipe.left, order)} {symbol} {of(recipe.right, order + 1)}"


def _quantized_code(
    recipe: rcp.Dequantize, variable: Callable[[str], str], constants: Iterator[str]
) -> str:
    """The whole numbers and their scales, which the script turns into floats or packs."""
    codes = [_code(part, variable, constants) for part in rcp.parts(recipe)]
    codes += map(str, (recipe.bits, recipe.low, recipe.axis, recipe.block))
    return f"Quantized({', '.join(codes)})"


# Infix recipes: the operator and how tightly it binds.
_INFIX: dict[type, tuple[str, int]] = {
    rcp.Add: ("+", 1),
    rcp.Subtract: ("-", 1),
    rcp.Multiply: ("*", 2),
    rcp.Divide: ("/", 2),
    rcp.Product: ("@", 2),
}


# ---- files


def remap_script(
    rules: Rules,
    dtype: DType | None = None,
    quantize: str | None = None,
    keep_float: Sequence[str] = (),
) -> str:
    """The text of remap_weights.py; the other arguments are defaults of its options."""
    tables = formatted(render("remap_tables.py.j2", rules=rules))
    return render(
        "remap_weights.py.j2",
        rules=rules,
        tables=tables,
        dtype=f'"{dtype.mlx}"' if dtype else None,
        quantize=f'"{quantize}"' if quantize else None,
        keep_float=json.dumps(",".join(keep_float)),
    )


def constants(
    parameters: Mapping[str, Param], tensors: Mapping[str, np.ndarray], rules: Rules
) -> dict[str, np.ndarray]:
    """What a checkpoint of the source library may lack: constants of its code, and buffers."""
    found: dict[str, np.ndarray] = {}
    for target, param in parameters.items():
        named = constant_names(target, param.recipe, rules.prefix)
        found |= {name: narrow(constant.data) for name, constant in named.items()}
        if param.buffer:
            found |= {name: narrow(tensors[name]) for name in rcp.reads(param.recipe)}
    return found


def narrow(array: np.ndarray) -> np.ndarray:
    """The array in a dtype that MLX can load."""
    dtype = dtype_of(array)
    return array.astype(stored(dtype).numpy) if dtype in _NARROW else array


class _Narrow(Mapping[str, np.ndarray]):
    """The source's tensors as the remap script reads them."""

    def __init__(self, tensors: Mapping[str, np.ndarray]):
        self.tensors = tensors

    def __getitem__(self, name: str) -> np.ndarray:
        return narrow(self.tensors[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


def write_weights(
    path: Path,
    parameters: Mapping[str, Param],
    tensors: Mapping[str, np.ndarray],
    rules: Rules,
    dtype: DType | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, name: None,
    config: Mapping[str, Any] | None = None,
    choice: Choice | None = None,
) -> None:
    """Write weights.safetensors from the source's tensors; `dtype` is for floats.

    `config` is what config.json holds; it goes into the metadata. The layers of `choice` are
    quantized.
    """
    source = _Narrow(tensors)

    def entry(name: str, param: Param) -> tensorfile.Entry:
        final = stored(param.tensor.dtype, None if name in rules.precise_names else dtype)
        return tensorfile.Entry(
            name,
            final,
            shape_of(param),
            lambda: rcp.evaluate(param.recipe, source).astype(final.numpy, copy=False),
        )

    entries = {name: entry(name, param) for name, param in parameters.items()}
    if choice:
        for layer in choice.layers:
            name = f"{layer}.weight"
            own = (parameters[name], source) if choice.own else None
            entries |= _quantized(layer, entries.pop(name), choice, own)
    mark = {
        "format": "mlx",
        "generator": "mlx-transpile",
        "rules": rules.digest,
        "config": json.dumps(config or {}, separators=(",", ":")),
    }
    tensorfile.write_tensors(path, entries.values(), mark, progress)


def shape_of(param: Param) -> tuple[int, ...]:
    return tuple(int(str(d)) for d in param.tensor.shape)


def _quantized(
    layer: str,
    weight: tensorfile.Entry,
    choice: Choice,
    own: tuple[Param, Mapping[str, np.ndarray]] | None = None,
) -> dict[str, tensorfile.Entry]:
    """The entries in the place of the weight's; it is quantized when the first is written.

    `own` makes it of the source's own whole numbers.
    """
    ready: dict[str, np.ndarray] = {}
    bits, group = choice.scheme(layer)

    def make() -> dict[str, np.ndarray]:
        if own is None:
            return quantize.quantized(weight.data(), choice)
        found = packing.fit(own[0])
        assert isinstance(found, packing.Fit)  # the choice has no others
        return packing.packed(found, weight.shape, group, own[1])

    def data(part: str, dtype: DType) -> np.ndarray:
        if part not in ready:
            ready.update(make())
        return ready.pop(part).astype(dtype.numpy, copy=False)

    return {
        f"{layer}.{part}": tensorfile.Entry(
            f"{layer}.{part}", dtype, shape, functools.partial(data, part, dtype)
        )
        for part, (dtype, shape) in quantize.sizes(weight.shape, weight.dtype, bits, group).items()
    }
