"""Fields of ModelArgs and constructor arguments, named by role.

The tables are documented in docs/names.md. A name is never semantic: a size without a known role is
called after the attribute and the parameter that it belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from ..ir import Graph, Param, Value
from ..ir.text import identifier
from .attentions import attentions
from .names import ORDINALS, last_name, safe
from .widths import Widths, key

# Field names by evidence: patterns on the slot's role and on the attribute's name, and the field.
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
    (r"nn\.Linear\.0", r"^down_proj$|^fc2$|^w2$", "intermediate_size"),
    (r"nn\.Linear\.1", r"classifier|^head$|^heads?$|^fc$|score|logits", "num_labels"),
    (r"nn\.(RMSNorm|LayerNorm)\.0", r"norm|ln|layer", "hidden_size"),
    (r"param\.weight\.0", r"tok|word|wte|shared|^emb|embed", "vocab_size"),
    (r"param\.weight\.0", r"norm|ln", "hidden_size"),
    (r"nn\.Linear\.1", r"^o_proj$|down_proj$|^out_proj$|^fc2$|^wo$", "hidden_size"),
    (r"nn\.Embedding\.1", r"", "embedding_size"),
    (r"(nn\.RoPE\.)?base", r"", "rope_theta"),
    (r"nn\.RoPE\.(0|dims)", r"", "rotary_dim"),
    (r"(nn\.RMSNorm|rms_norm)\.eps", r"", "rms_norm_eps"),
    (r"(nn\.LayerNorm|layer_norm)\.eps|eps", r"", "layer_norm_eps"),
    (r"(nn\.BatchNorm|batch_norm)\.eps", r"", "batch_norm_eps"),
    (r"(nn\.GroupNorm|group_norm)\.eps", r"", "group_norm_eps"),
    (r"count", r"^(layers?|h|blocks?|encoder_layers|resblocks)$", "num_hidden_layers"),
    (r"runtime\.(LSTM|GRU|RNN)\.1", r"", "rnn_hidden_size"),
]

# The fields that configurations begin with, in the order in which they have them.
FIELD_ORDER = (
    "vocab_size", "type_vocab_size", "max_position_embeddings", "num_channels", "hidden_size",
    "embedding_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "value_head_dim", "rotary_dim", "rms_norm_eps",
    "layer_norm_eps", "batch_norm_eps", "group_norm_eps", "rope_theta",
)  # fmt: skip

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
    r"nn\.GroupNorm\.0": "num_groups",
    r"nn\.GroupNorm\.1": "dims",
    r".*Norm\.0": "dims",
    r".*\.(stride|padding|dilation|groups)": r"\1",
    r"param\.(\w+)\.\d": r"\1_size",
    r"low|high": "padding",
    r"shape": "size",
}


def field_order(names: Iterable[str]) -> list[str]:
    """The fields as a configuration lists them: known words first, then in the order of use.

    `text_hidden_size` stands where `hidden_size` does.
    """

    def place(name: str) -> int:
        ends = [i for i, word in enumerate(FIELD_ORDER) if name.endswith(f"_{word}")]
        return FIELD_ORDER.index(name) if name in FIELD_ORDER else min(ends, default=99)

    return sorted(names, key=place)


def _parameter_word(role: str) -> str:
    if role.startswith("arg."):
        return role.removeprefix("arg.")
    for pattern, word in PARAMETER_ROLES.items():
        match = re.fullmatch(pattern, role)
        if match:
            return match.expand(word)
    return identifier(role.rpartition(".")[2]) or "value"


def parameter_name(slot: Any, taken: Sequence[str], known: str = "") -> str:
    """The name of a constructor argument: what it is `known` as, else by attribute and role."""
    if known and known not in taken:
        return known
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
    candidates += [f"{ordinal.lower()}_{attr}_{word}" for ordinal in ORDINALS[1:]]
    return safe(next((c for c in candidates if c not in taken), f"{'inner_' * len(taken)}{word}"))


def width_roles(graph: Graph, widths: Widths) -> dict[Any, str]:
    """Roles of widths that attention shows: head counts and sizes."""
    roles: dict[Any, str] = {}
    for found in attentions(graph):
        _attention_roles(found[:3], widths, roles)
    for node in graph.nodes:
        if node.op == "rope":
            roles.setdefault(widths.find(key(node.values[0], -1)), "head_dim")
    for node in graph.nodes:
        if node.op == "reshape" and (node.type(0).rank, node.out.tensor.rank) == (4, 5):
            split = roles.get(widths.find(key(node.values[0], 1))) == "num_attention_heads"
            if split and node.type(0).shape[2:] == node.out.tensor.shape[3:]:
                roles.setdefault(widths.find(key(node.out, 2)), "num_key_value_groups")
        if node.op == "reshape" and node.out.tensor.rank == 4 and _splits_last(node):
            heads, size = widths.find(key(node.out, 2)), widths.find(key(node.out, 3))
            if roles.get(size) == "head_dim":
                known = "num_attention_heads" in roles.values()
                roles.setdefault(heads, "num_key_value_heads" if known else "num_attention_heads")
    return roles


def _attention_roles(parts: Sequence[Value], widths: Widths, roles: dict[Any, str]) -> None:
    q, k, v = parts
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
    for value in parts:  # where heads times size comes from, before the split
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
        """The parts of a size that is so many times another, or heads times head size where it
        has no role of its own.
        """
        multiple = self.widths.multiple(root)
        if multiple and (multiple[1] in self.values or self._heads(multiple[1])):
            return list(multiple)
        return self._heads(root)

    def _heads(self, root: Any) -> list[Any] | None:
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
