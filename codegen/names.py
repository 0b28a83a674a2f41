"""Names of classes and their variants, and of local variables."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from ..ir import Graph, Param, Value
from ..ir.text import identifier
from .attentions import VIEWS, attentions

ROLE_OF_OP: dict[str, str] = {
    "softmax": "weights",
    "matmul": "scores",
    "attention": "attn_output",
    "embedding": "embeddings",
    "arange": "positions",
    "random_normal": "noise",
    "random_uniform": "noise",
    "random_integers": "drawn",
    "random_bernoulli": "drawn",
    "random_categorical": "chosen",
    "equal": "mask",
    "not_equal": "mask",
    "less": "mask",
    "less_equal": "mask",
    "greater": "mask",
    "greater_equal": "mask",
    "bitwise_and": "mask",
    "invert": "mask",
    "cumsum": "positions",
    "argmax": "indices",
    "linear": "out",
    "layer_norm": "normed",
    "rms_norm": "normed",
    "concatenate": "joined",
    "split": "part",
    "cos": "cos",
    "sin": "sin",
    "mean": "mean",
    "sum": "total",
    "sigmoid": "gate",
    "conv1d": "out",
    "conv2d": "out",
}

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def last_name(path: str) -> str:
    """The last component of a path that is no number."""
    return next((p for p in reversed(path.split(".")) if not p.isdigit()), "")


def safe(name: str, default: str = "x") -> str:
    """A usable Python identifier."""
    name = identifier(name) or default
    return (
        name + "_"
        if keyword.iskeyword(name) or name in ("mx", "nn", "self", "args", "json")
        else name
    )


# ---- classes


def camel(text: str) -> str:
    return "".join(w[:1].upper() + w[1:] for w in re.split(r"[\W_]+", text, flags=re.ASCII) if w)


ORDINALS = [
    "First",
    "Second",
    "Third",
    "Fourth",
    "Fifth",
    "Sixth",
    "Seventh",
    "Eighth",
    "Ninth",
    "Tenth",
]


def class_names(groups: Iterable[Any], reserved: Sequence[str]) -> None:
    """Name all groups: their source class, with a distinguishing word where a class has several
    bodies. The whole is the Model, whatever its parts are called.
    """
    by_cls: dict[str, list[Any]] = {}
    for group in groups:
        if "" in group.paths:
            group.name = "Model"
        else:
            by_cls.setdefault(safe(camel_class(group.cls), "Part"), []).append(group)
    taken = {*reserved, "Model"}
    for cls, same in by_cls.items():
        for group, prefix in zip(same, _prefixes(same, cls), strict=True):
            numbered = re.search(rf"{re.escape(cls)}\d+$", prefix)  # `conv1`, a Conv: Conv1
            name = identifier(prefix if numbered else f"{prefix}{cls}")  # paths begin with digits
            while name in taken:
                name = f"Inner{name}"
            taken.add(name)
            group.name = name


def camel_class(cls: str) -> str:
    name = identifier(cls.rpartition(".")[2])
    return name[:1].upper() + name[1:]


def _prefixes(groups: list[Any], cls: str) -> list[str]:
    """A word or two before the class name for each group: the fewest features that tell them
    apart.
    """
    if len(groups) == 1:
        return [""]
    features = [_features(g, cls) for g in groups]
    count = max(map(len, features))
    features = [f + ("",) * (count - len(f)) for f in features]
    for size in range(1, min(count, 4) + 1):
        for chosen in combinations(range(count), size):
            picked = ["".join(dict.fromkeys(f[i] for i in chosen)) for f in features]
            if len(set(picked)) == len(picked):
                return picked
    return ["" if i == 0 else ORDINALS[min(i, 9)] * (1 + i // 10) for i in range(len(groups))]


def _features(group: Any, cls: str) -> tuple[str, ...]:
    """Words that may tell the group from others: attribute, place in each list, enclosing
    modules.
    """
    attributes = {last_name(p) for p in group.paths}
    attr = _without_tail(camel(attributes.pop()), cls) if len(attributes) == 1 else ""
    numbers = [[int(part) for part in p.split(".") if part.isdigit()] for p in group.paths]
    depth = min(map(len, numbers))
    places = [_place({n[d] for n in numbers}) for d in range(depth)]
    outer = [{p.split(".")[d] for p in group.paths if len(p.split(".")) > d} for d in range(3)]
    names = [o.pop() if len(o) == 1 else "" for o in outer]
    return (*(camel(n) if not n.isdigit() else "" for n in names), *(places + [""] * 4)[:4], attr)


def _place(indices: set[int]) -> str:
    if indices == {0}:
        return "First"
    if len(indices) > 1 and len({i % 2 for i in indices}) == 1:
        return "Odd" if indices.pop() % 2 else "Even"
    return ""


def _without_tail(attr: str, cls: str) -> str:
    a, c = _WORDS.findall(attr), _WORDS.findall(cls)
    while a and c and a[-1].lower() == c[-1].lower():
        a.pop()
        c.pop()
    return "".join(a)


# ---- local variables


def attention_names(graph: Graph) -> dict[Value, str]:
    """Queries, keys and values (and the mask), back to where each is projected."""
    names: dict[Value, str] = {}
    for found in attentions(graph):
        for name in ("queries", "keys", "values"):
            _name_back(getattr(found, name), name, names)
    for node in graph.nodes:
        if node.op == "attention" and isinstance(node.operands[3], Value):
            names.setdefault(node.operands[3], "mask")
    return names


def _name_back(value: Value, name: str, names: dict[Value, str]) -> None:
    """Name a value and what it is made from by views, norms and rotary embeddings, within its
    module.
    """
    scope = value.node.scope if value.node else None
    while value.node is not None and value.node.scope is scope and value not in names:
        names[value] = name
        node = value.node
        if node.op in (*VIEWS, "rms_norm", "layer_norm", "rope"):
            value = node.values[0]
            continue
        if node.op not in ("add", "multiply"):
            return
        alike = [v for v in node.values if v.type == value.type and not isinstance(v, Param)]
        if not alike:
            return
        if node.op == "add":  # x * cos + rotate(x) * sin: the term that is no rotation
            terms = [v for v in alike if v.node is not None and v.node.op == "multiply"]
            alike = [
                t.node.values[0]
                for t in terms[:1]
                if t.node is not None and t.node.values[0].type == value.type
            ]
            if not alike:
                return
        value = alike[0]


def role_of(value: Value) -> list[str]:
    """Names by what computes the value."""
    if value.node is None:
        return []
    if value.node.op == "split" and len(value.node.results) <= len(ORDINALS):
        return [ORDINALS[value.index].lower()]
    return [ROLE_OF_OP[value.node.op]] if value.node.op in ROLE_OF_OP else []


_BUILTINS = frozenset(dir(builtins))
_FALLBACKS = (
    "h",
    "out",
    "hidden",
    "y",
    "z",
    "r",
    "t",
    "u",
    "part",
    "term",
    "state",
    "inner",
    "rest",
)


def says_something(hint: str) -> bool:
    """Whether a local can have that name: `input` is a function of Python's."""
    return bool(hint) and hint not in _BUILTINS


def local_names(
    locals_: Sequence[Any], spans: Mapping[int, tuple[int, int]], reserved: set[str]
) -> list[str]:
    """A name for every local: its best hint that no other living local holds. `spans` gives first
    and last line.
    """
    names: list[str] = [""] * len(locals_)
    order = sorted(range(len(locals_)), key=lambda i: (spans[i][0], i))
    for i in order:
        held = {
            names[j] for j in range(len(locals_)) if names[j] and _overlap(spans[i], spans[j])
        } | reserved
        hints = [safe(h) for h in locals_[i].hints if h and not h.isdigit()]
        if spans[i][0] >= 0:
            hints = [h for h in hints if says_something(h)]
        candidates = [*hints, *_FALLBACKS, *(f"{h}_{f}" for h in hints for f in _FALLBACKS)]
        candidates += [f"{a}_{b}" for a in _FALLBACKS for b in _FALLBACKS]
        names[i] = next((c for c in candidates if c not in held), f"local_{'i' * (i + 1)}")
    return names


def _overlap(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two locals live at once; one may take over on the line where the other is read
    last.
    """
    return not (a[1] <= b[0] or b[1] <= a[0]) or a[0] == b[0]
