"""Factors of queries, keys or scores: the scale of attention, or a factor of the queries."""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Node
from .rebuild import Rebuild
from .record import Log
from .rewrite import Bind, Is, Match, Number, Perhaps, Rewrite, rewrite


def _guard_scale(match: Match) -> str | None:
    return None if match["factor"] > 0 else f"the factor {match['factor']} is not positive"


def _build_scale(side: int) -> Any:
    def build(out: Rebuild, match: Match, like: Node) -> Any:
        operands = list(match.root.operands)
        operands[side] = match["scaled"]
        for name in ("reshaped", "transposed"):
            node = match.get(name)
            if node is not None:
                operands[side] = out.emit(node.op, operands[side], like=node, **node.attrs)
        attrs = {**match.root.attrs, "scale": match.root["scale"] * float(match["factor"])}
        return out.emit("attention", *operands, like=like, **attrs)

    return build


# The factor may stand below the views that part the heads.
_TIMES = Is("multiply", (Bind("scaled"), Number("factor")))
_FACTOR = Perhaps("transpose", Perhaps("reshape", _TIMES, name="reshaped"), name="transposed")

SCALES = [
    Rewrite("attention_scale", Is("attention", (_FACTOR,)), _guard_scale, _build_scale(0)),
    Rewrite(
        "attention_scale", Is("attention", (Bind("other"), _FACTOR)), _guard_scale, _build_scale(1)
    ),
]


def fold_attention_scale(graph: Graph, log: Log | None = None) -> bool:
    """A scalar factor of the queries or the keys is the attention's scale."""
    changed = rewrite(graph, SCALES, log)
    return rewrite(graph, SCALES, log) or changed if changed else False
