"""Names: fields of ModelArgs and constructor arguments by role, classes and their variants, local
variables.

The tables are documented in docs/names.md. A name is never semantic: a size without a known role is
called after the attribute and the parameter that it belongs to.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from ..ir import Graph, Param, Value
from ..ir.text import identifier
from .widths import Widths, key

# Field names by evidence: (pattern on "role", pattern on the attribute path's last name, field name).
FIELD_ROLES: list[tuple[str, str, str]] = [
    (r"nn\.Embedding\.0", r"pos|wpe", "max_position_embeddings"),
    (r"nn\.Embedding\.0", r"type", "type_vocab_size"),
    (r"nn\.Embedding\.0", r"tok|word|wte|shared|^emb|embed", "vocab_size"),
    (r"nn\.Linear\.1", r"^lm_head$|^output_projection$", "vocab_size"),
    (
        r"nn\.Linear\.1",
        r"gate_proj|up_proj|^fc1$|c_fc|^wi(_\d)?$|linear1$|intermediate|w1$",
        "intermediate_size",
    ),
    (r"nn\.Linear\.1", r"classifier|^head$|^heads?$|^fc$|score|logits", "num_labels"),
    (r"nn\.(RMSNorm|LayerNorm)\.0", r"norm|ln|layer", "hidden_size"),
    (r"nn\.Embedding\.1", r"", "embedding_size"),
    (r"nn\.RMSNorm\.eps", r"", "rms_norm_eps"),
    (r"(nn\.LayerNorm\.)?eps", r"", "layer_norm_eps"),
    (r"nn\.BatchNorm\.eps", r"", "batch_norm_eps"),
    (r"nn\.GroupNorm\.eps", r"", "group_norm_eps"),
    (r"count", r"^(layers?|h|blocks?|encoder_layers|resblocks)$", "num_hidden_layers"),
    (r"runtime\.(LSTM|GRU|RNN)\.1", r"", "rnn_hidden_size"),
]

# What a slot of a layer is called where no role is known: <attribute>_<this>.
PARAMETER_ROLES: dict[str, str] = {
    r"nn\.Linear\.0": "input_dims",
    r"nn\.Linear\.1": "output_dims",
    r"nn\.Conv.*\.0": "in_channels",
    r"nn\.Conv.*\.1": "out_channels",
    r"runtime\.\w+\.0": "input_size",
    r"runtime\.\w+\.1": "hidden_size",
    r"nn\.Embedding\.0": "num_embeddings",
    r"nn\.Embedding\.1": "dims",
    r".*\.kernel(_size)?": "kernel_size",
    r".*\.eps": "eps",
    r"count": "count",
    r".*Norm\.0": "dims",
    r".*\.(stride|padding|dilation|groups)": r"\1",
    r"param\.(\w+)\.\d": r"\1_size",
    r"shape": "size",
}

ROLE_OF_OP: dict[str, str] = {
    "softmax": "weights",
    "matmul": "scores",
    "attention": "attn_output",
    "embedding": "embeddings",
    "arange": "positions",
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


def _parameter_word(role: str) -> str:
    if role.startswith("arg."):
        return role.removeprefix("arg.")
    for pattern, word in PARAMETER_ROLES.items():
        match = re.fullmatch(pattern, role)
        if match:
            return match.expand(word)
    return identifier(role.rpartition(".")[2]) or "value"


def parameter_name(slot: Any, taken: Sequence[str]) -> str:
    """The name of a constructor argument: by role, else by attribute and parameter."""
    word = _parameter_word(slot.role)
    attr = safe(last_name(slot.attr), "part")
    candidates = (
        [word, f"{attr}_{word}"]
        if word in ("stride", "groups", "dilation", "padding", "kernel_size")
        else []
    )
    if slot.role == "count":
        candidates.append(f"num_{attr}")
    candidates.append(f"{attr}_{word}")
    candidates += [f"{ordinal.lower()}_{attr}_{word}" for ordinal in _ORDINALS[1:]]
    return safe(next((c for c in candidates if c not in taken), f"{'inner_' * len(taken)}{word}"))


# ---- fields of ModelArgs


def width_roles(graph: Graph, widths: Widths) -> dict[Any, str]:
    """Roles of widths that attention shows: head counts and sizes."""
    roles: dict[Any, str] = {}
    for node in graph.nodes:
        if node.op == "attention":
            _attention_roles(node, widths, roles)
    for node in graph.nodes:
        if node.op == "reshape" and node.out.tensor.rank == 4 and _splits_last(node):
            heads, size = widths.find(key(node.out, 2)), widths.find(key(node.out, 3))
            if roles.get(size) == "head_dim":
                known = "num_attention_heads" in roles.values()
                roles.setdefault(heads, "num_key_value_heads" if known else "num_attention_heads")
    return roles


def _attention_roles(node: Any, widths: Widths, roles: dict[Any, str]) -> None:
    q, k, v = node.values[:3]
    heads, size = q.tensor.shape[1], q.tensor.shape[-1]
    roles.setdefault(widths.find(key(q, -1)), "head_dim")
    roles.setdefault(
        widths.find(key(v, -1)), "head_dim" if v.tensor.shape[-1] == size else "value_head_dim"
    )
    roles.setdefault(widths.find(key(q, 1)), "num_attention_heads")
    same = k.tensor.shape[1] == heads
    roles.setdefault(
        widths.find(key(k, 1)), "num_attention_heads" if same else "num_key_value_heads"
    )
    for value in (q, k, v):  # where heads times size comes from, before the split
        split = _split_source(value)
        if split is not None and all(isinstance(d, int) for d in split.tensor.shape[-2:]):
            same = split.tensor.shape[-2] == heads
            roles.setdefault(widths.find(key(split, -1)), "head_dim")
            roles.setdefault(
                widths.find(key(split, -2)),
                "num_attention_heads" if same else "num_key_value_heads",
            )


def _split_source(value: Value) -> Value | None:
    """The result of the reshape that split heads off, going back through ops that keep the value's
    rank.
    """
    for _ in range(32):
        node = value.node
        if node is None:
            return None
        if node.op == "reshape" and _splits_last(node):
            return value
        if not node.values:
            return None
        value = node.values[0]
    return None


def inner_widths(graph: Graph, widths: Widths) -> list[Any]:
    """Widths that one linear widens (or narrows) to and another brings back."""
    outer = _outer_widths(graph, widths)
    there: dict[Any, set[Any]] = {}
    back: dict[Any, set[Any]] = {}
    order: dict[Any, None] = {}
    for node in graph.nodes:
        if node.op == "linear":
            out, wide = widths.find(key(node.values[1], 0)), widths.find(key(node.values[1], 1))
            there.setdefault(out, set()).add(wide)
            back.setdefault(wide, set()).add(out)
            order[out] = None
    return [w for w in order if w in back and w not in outer and there[w] & back[w] - {w}]


def _outer_widths(graph: Graph, widths: Widths) -> set[Any]:
    """Widths that enter or leave the model, are normalised, or flow past a layer in a residual
    sum.
    """
    values = [*graph.inputs, *graph.outputs]
    for node in graph.nodes:
        sums = node.op == "add" and len(node.values) == 2 and node.type(0) == node.type(1)
        if (sums and not any(isinstance(v, Param) for v in node.values)) or node.op in (
            "layer_norm",
            "rms_norm",
        ):
            values.append(node.out)
    return {widths.find(key(v, -1)) for v in values if v.tensor.rank}


def _splits_last(node: Any) -> bool:
    before, after = node.values[0].tensor.shape, node.out.tensor.shape
    return (
        len(before) == 3
        and len(after) == 4
        and before[:2] == after[:2]
        and all(isinstance(d, int) for d in after[2:])
    )


def attention_names(graph: Graph) -> dict[Value, str]:
    """Queries, keys and values (and the mask), back to where each is projected."""
    names: dict[Value, str] = {}
    for node in graph.nodes:
        if node.op != "attention":
            continue
        for operand, name in zip(node.operands, ("queries", "keys", "values", "mask"), strict=True):
            if isinstance(operand, Value) and name == "mask":
                names.setdefault(operand, name)
            elif isinstance(operand, Value):
                _name_back(operand, name, names)
    return names


_VIEWS = ("reshape", "transpose", "expand_dims", "cast", "rms_norm", "layer_norm")


def _name_back(value: Value, name: str, names: dict[Value, str]) -> None:
    """Name a value and what it is made from by views, norms and sums (rotary embeddings), within
    its module.
    """
    scope = value.node.scope if value.node else None
    while value.node is not None and value.node.scope is scope and value not in names:
        names[value] = name
        node = value.node
        if node.op in _VIEWS:
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


class Fields:
    """Fields of ModelArgs: one for each width or scalar that classes read."""

    def __init__(
        self, widths: Widths, heads: dict[Any, str], inner: Iterable[Any], entering: Iterable[Any]
    ):
        self.widths = widths
        self.entering = {widths.find(e) for e in entering}
        self.inner = set(inner)
        self.heads = {widths.find(e): name for e, name in heads.items()}
        self.evidence: dict[Any, list[tuple[str, str]]] = {}
        self.values: dict[Any, Any] = {}
        self.names: dict[Any, str] = {}
        self.taken: dict[str, Any] = {}

    def note(self, element: Any, value: Any, role: str, attr: str) -> None:
        """A slot reads this element."""
        root = self.widths.find(element)
        self.evidence.setdefault(root, []).append((role, attr))
        self.values[root] = value

    def product(self, root: Any) -> list[Any] | None:
        """The parts of a size that is heads times head size, where it has no role of its own."""
        parts = self.widths.product(root)
        roots = [self.widths.find(p) for p in parts or ()]
        if len(roots) == 2 and all(r in self.heads for r in roots) and not self._role(root):
            return roots
        return None

    def _role(self, root: Any) -> str | None:
        if root in self.heads:
            return self.heads[root]
        for role, attr, name in FIELD_ROLES:
            for found_role, found_attr in self.evidence.get(root, ()):
                if re.fullmatch(role, found_role) and re.search(attr, last_name(found_attr), re.I):
                    return name
        if root in self.entering:
            return "num_channels" if self._only_conv(root) else "input_size"
        return "intermediate_size" if root in self.inner else None

    def _only_conv(self, root: Any) -> bool:
        return all("Conv" in role for role, _ in self.evidence.get(root, ()))

    def assign(self) -> None:
        """Name every noted element. Elements of one role and value share a field; others are told
        apart by path.
        """
        wanted: dict[str, list[Any]] = {}
        for root in self.values:
            if self.product(root) is None:
                wanted.setdefault(self._role(root) or self._plain(root), []).append(root)
        for name, roots in wanted.items():
            by_value: dict[Any, list[Any]] = {}
            for root in roots:
                by_value.setdefault(self.values[root], []).append(root)
            self._name_groups(name, list(by_value.values()))

    def _name_groups(self, name: str, groups: list[list[Any]]) -> None:
        """One field for each value: told apart by path, or else the items of one list."""
        name = f"{name}_" if name in ("model_type", "quantization") else name
        values = [self.values[g[0]] for g in groups]
        if len(groups) == 1:
            names = [self._free(name, values[0])]
        else:
            parts = self._told_apart(groups)
            if parts is None:
                whole = self._free(name, values)
                names = [f"{whole}[{i}]" for i in range(len(groups))]
            else:
                names = [self._free(f"{p}_{name}", v) for p, v in zip(parts, values, strict=True)]
        for group, field_name in zip(groups, names, strict=True):
            self.names.update(dict.fromkeys(group, field_name))

    def _plain(self, root: Any) -> str:
        role, attr = self.evidence[root][0]
        name = safe(last_name(attr), "model")
        return f"num_{name}" if role == "count" else f"{name}_{_parameter_word(role)}"

    def _told_apart(self, groups: list[list[Any]]) -> list[str] | None:
        """A path component that differs between all groups and is no number; None if there is
        none.
        """
        paths = [self.evidence[g[0]][0][1].split(".") for g in groups]
        for depth in range(max(map(len, paths))):
            parts = [p[depth] if depth < len(p) else "" for p in paths]
            if len(set(parts)) == len(parts) and not any(p.isdigit() or not p for p in parts):
                return [safe(p) for p in parts]
        return None

    def _free(self, name: str, value: Any) -> str:
        """The name, or a longer one where it stands for another value already."""
        while self.taken.setdefault(name, value) != value:
            name = f"other_{name}"
        return name


# ---- classes


def camel(text: str) -> str:
    return "".join(w[:1].upper() + w[1:] for w in re.split(r"[\W_]+", text, flags=re.ASCII) if w)


_ORDINALS = [
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
    bodies.
    """
    by_cls: dict[str, list[Any]] = {}
    for group in groups:
        by_cls.setdefault(
            "Model" if "" in group.paths else safe(camel_class(group.cls), "Part"), []
        ).append(group)
    taken = set(reserved)
    for cls, same in by_cls.items():
        for group, prefix in zip(same, _prefixes(same, cls), strict=True):
            name = f"{prefix}{cls}"
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
    return ["" if i == 0 else _ORDINALS[min(i, 9)] * (1 + i // 10) for i in range(len(groups))]


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


def role_of(value: Value) -> list[str]:
    """Names by what computes the value."""
    if value.node is None:
        return []
    if value.node.op == "split" and len(value.node.results) <= len(_ORDINALS):
        return [_ORDINALS[value.index].lower()]
    if value.node.op in (
        "reshape",
        "transpose",
        "expand_dims",
        "squeeze",
        "cast",
        "slice",
        "broadcast_to",
    ):
        first = next(iter(value.node.values), None)
        return [first.hint] if first is not None and first.hint else []
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
            hints = [h for h in hints if h not in _BUILTINS]
        candidates = [*hints, *_FALLBACKS, *(f"{h}_{f}" for h in hints for f in _FALLBACKS)]
        candidates += [f"{a}_{b}" for a in _FALLBACKS for b in _FALLBACKS]
        names[i] = next((c for c in candidates if c not in held), f"local_{'i' * (i + 1)}")
    return names


def _overlap(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two locals live at once; one may take over on the line where the other is read
    last.
    """
    return not (a[1] <= b[0] or b[1] <= a[0]) or a[0] == b[0]
