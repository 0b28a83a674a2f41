"""Which layers hold quantized weights, and the tensors that they hold then."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from ..errors import BadRequest
from ..ir import DType, Graph, Node, Param
from ..options import GROUP_SIZES, Quantization
from .emitted import Emitted
from .packing import NO_LAYER, Fit, Scheme, fit, main_scheme, schemes, told
from .patterns import split

READ = "read"  # the kind of a layer whose weight model.py reads itself


# ---- layers


def layers(graph: Graph, emitted: Emitted) -> dict[str, str]:
    """The linear and embedding layers that hold a floating-point weight, with what they are.

    The words are those of `--keep-float`: "embeddings", "head"; or `READ`.
    """
    heads = _heads(graph)
    read = _weights_read(emitted.source)
    found = {}
    for path, cls in emitted.layers.items():
        param = emitted.parameters.get(f"{path}.weight")
        if param is None or cls not in ("nn.Linear", "nn.Embedding"):
            continue
        if not param.tensor.dtype.is_float or param.tensor.rank != 2:
            continue
        parts = tuple(path.split("."))
        words = ["embeddings"] if cls == "nn.Embedding" else []
        words += ["head"] if param in heads else []
        by_code = any(parts[len(parts) - len(r) :] == r for r in read)
        found[path] = READ if by_code else " ".join(words)
    return found


def _heads(graph: Graph) -> set[Param]:
    """The weights of the linears that give the model's results, through ops of one tensor."""
    found: set[Param] = set()
    for value in graph.outputs:
        node: Node | None = value.node
        while node is not None:
            if node.op == "linear":
                found.update(v for v in node.values[1:2] if isinstance(v, Param))
                break
            entering = [v for v in node.values if not isinstance(v, Param)]
            node = entering[0].node if len(entering) == 1 else None
    return found


def _weights_read(source: str) -> set[tuple[str, ...]]:
    """The ends of the paths of layers whose `weight` the code reads; () may be any layer."""
    return {
        _path_end(node.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and node.attr == "weight"
        and isinstance(node.ctx, ast.Load)
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }


def _path_end(node: ast.expr) -> tuple[str, ...]:
    """`self.h[0].fc` is h, 0, fc; of `layer.fc` only fc is known."""
    match node:
        case ast.Attribute(of, name):
            return (*_path_end(of), name)
        case ast.Subscript(of, ast.Constant(index)):
            return (*_path_end(of), str(index))
    return ()


# ---- the choice


@dataclass(frozen=True)
class Choice:
    """The quantized layers; those that stay float, each with the reason.

    `own`: the layers are as the source has them, `others` with other bits and groups.
    """

    bits: int
    group_size: int
    layers: tuple[str, ...]
    kept: Mapping[str, str]
    own: bool = False
    others: Mapping[str, Scheme] = field(default_factory=dict)

    def scheme(self, layer: str) -> Scheme:
        """Bits and group size of a layer."""
        return self.others.get(layer, (self.bits, self.group_size))

    @property
    def config(self) -> dict[str, Any]:
        """What config.json says of it."""
        main = {"group_size": self.group_size, "bits": self.bits, "mode": "affine"}
        own = {n: {"group_size": g, "bits": b} for n, (b, g) in sorted(self.others.items())}
        return main | own

    def report(self, size: int | None = None, plain: int | None = None) -> dict[str, Any]:
        """The choice as plain data, with the file's bytes and those of float weights if known."""
        known = {"weights_bytes": size, "float_weights_bytes": plain}
        others = {n: {"bits": b, "group_size": g} for n, (b, g) in sorted(self.others.items())}
        return {
            "bits": self.bits,
            "group_size": self.group_size,
            "layers": list(self.layers),
            **({"others": others} if others else {}),
            "float_layers": dict(self.kept),
            **({"own": True} if self.own else {}),
            **{name: bytes_ for name, bytes_ in known.items() if bytes_ is not None},
        }

    def counted(self) -> list[str]:
        """How many layers have which bits and groups."""
        found = Counter(self.scheme(layer) for layer in self.layers)
        order = sorted(found, key=lambda s: (s != (self.bits, self.group_size), s))
        own = " as the source has them" if self.own else ""
        return [f"{_layers(found[s])} {s[0]} bits in groups of {s[1]}{own}" for s in order]

    def summary(self) -> list[str]:
        """Lines for people; layers that differ in a number share one."""
        grouped: dict[tuple[str, str], int] = {}
        for name, reason in self.kept.items():
            key = (".".join(split(name)[0]), reason)
            grouped[key] = grouped.get(key, 0) + 1
        *first, last = self.counted()
        lines = [*first, f"{last}, {len(self.kept)} stay float{':' if grouped else ''}"]
        return lines + [
            f"  {name}{f' ({count} layers)' if count > 1 else ''}: {reason}"
            for (name, reason), count in grouped.items()
        ]


def _layers(count: int) -> str:
    return "1 layer has" if count == 1 else f"{count} layers have"


@dataclass(frozen=True)
class Stored:
    """What the source holds as whole numbers: layers that can stay so, with bits and groups; and
    tensors that become floats, with the reason.
    """

    able: Mapping[str, Scheme]
    floats: Mapping[str, str]

    def told(self, choice: Choice | None) -> list[str]:
        """What becomes of it, in words."""
        if choice and choice.own:
            return told({n: choice.scheme(n) for n in choice.layers}, choice.kept)
        reason = "--quantize packs anew" if choice else "--quantize none"
        return told({}, {**self.floats, **dict.fromkeys(self.able, reason)})


def stored(parameters: Mapping[str, Param], layers: Mapping[str, str]) -> Stored:
    """What of the parameters the source holds as whole numbers."""
    found = {name.removesuffix(".weight"): fit(param) for name, param in parameters.items()}
    reasons = {n: f for n, f in found.items() if f and isinstance(f, str)}
    fits = {n: f for n, f in found.items() if isinstance(f, Fit)}
    reasons |= {n: NO_LAYER for n in fits if n not in layers}
    reasons |= {n: _READ for n in fits if layers.get(n) == READ}
    able = schemes({n: f for n, f in fits.items() if n not in reasons})
    return Stored(dict(sorted(able.items())), dict(sorted(reasons.items())))


def keep_own(
    source: Stored, layers: Mapping[str, str], keep_float: Sequence[str] = ()
) -> Choice | None:
    """The layers that stay as the source has them; None where there are none."""
    _check_names(keep_float, layers)
    wished = {n: "--keep-float" for n in source.able if _named(keep_float, n, layers[n])}
    chosen = {n: s for n, s in source.able.items() if n not in wished}
    if not chosen:
        return None
    bits, group = main_scheme(source.able.values())
    others = {n: s for n, s in chosen.items() if s != (bits, group)}
    kept = dict(sorted({**source.floats, **wished}.items()))
    return Choice(bits, group, tuple(chosen), kept, True, others)


_READ = "model.py reads its weight itself"


def _named(words: Sequence[str], name: str, own: str) -> bool:
    """Whether the layer, or what `--keep-float` calls it, is among the words."""
    return any(word in own.split() or fnmatchcase(name, word) for word in words)


def _check_names(words: Sequence[str], layers: Mapping[str, str]) -> None:
    """BadRequest where a word is no layer's name."""
    for word in words:
        if word not in ("embeddings", "head") and not any(fnmatchcase(n, word) for n in layers):
            raise BadRequest(
                f"no layer is called {word!r}",
                where="--keep-float",
                hint="embeddings, head, or a layer's name in model.py with * for any text",
            )


def choose(
    wanted: Quantization, layers: Mapping[str, str], shape: Callable[[str], tuple[int, ...]]
) -> Choice:
    """What of the layers is quantized; `shape` gives that of a layer's weight.

    BadRequest where no layer is, or where a name to keep is that of no layer.
    """
    _check_names(wanted.keep_float, layers)
    chosen, kept = [], {}
    for name, words in sorted(layers.items()):
        reason = _reason(wanted, name, words, shape(name)[-1])
        if reason:
            kept[name] = reason
        else:
            chosen.append(name)
    choice = Choice(wanted.bits, wanted.group_size, tuple(chosen), kept)
    if not chosen:
        raise _nothing(choice, wanted, [shape(n)[-1] for n in layers])
    return choice


def _reason(wanted: Quantization, name: str, words: str, width: int) -> str:
    """Why the layer stays float, or nothing."""
    if words == READ:
        return _READ
    if _named(wanted.keep_float, name, words):
        return "--keep-float"
    return f"{wanted.group_size} does not divide {width}" if width % wanted.group_size else ""


def _nothing(choice: Choice, wanted: Quantization, widths: list[int]) -> BadRequest:
    """Says why nothing is quantized, and which group would do."""
    fits = [g for g in GROUP_SIZES if any(w % g == 0 for w in widths) and g != wanted.group_size]
    reasons = ", ".join(dict.fromkeys(choice.kept.values()))
    return BadRequest(
        f"no layer can be quantized: {reasons or 'the model has no linear or embedding layer'}",
        where="--quantize",
        hint=f"--quantize {wanted.bits}:{fits[0]}" if fits else "no --quantize",
    )


# ---- the tensors


def quantized(weight: np.ndarray, choice: Choice) -> dict[str, np.ndarray]:
    """The packed `weight` (u32), and `scales` and `biases` (of its own dtype) of its groups."""
    import mlx.core as mx

    # The CPU's kernel everywhere: the same file on every machine.
    arrays = mx.quantize(mx.array(weight), choice.group_size, choice.bits, stream=mx.cpu)
    return dict(zip(("weight", "scales", "biases"), (_numpy(a, weight.dtype) for a in arrays)))


def _numpy(array: Any, float_dtype: Any) -> np.ndarray:
    """The array in NumPy; bfloat16 through its bits."""
    import mlx.core as mx

    if array.dtype == mx.bfloat16:
        return np.array(array.view(mx.uint16)).view(float_dtype)
    return np.array(array)


def sizes(
    shape: tuple[int, ...], dtype: DType, bits: int, group: int
) -> dict[str, tuple[DType, tuple[int, ...]]]:
    """The types and shapes of the three tensors of a weight [out, in]."""
    out, width = shape
    groups = (out, width // group)
    packed = (DType.u32, (out, width * bits // 32))
    return {"weight": packed, "scales": (dtype, groups), "biases": (dtype, groups)}
