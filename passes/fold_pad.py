"""Zero padding in front of a convolution becomes the convolution's own."""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Node
from .rebuild import Rebuild
from .record import Log
from .rewrite import Bind, Is, Match, Rewrite, rewrite


def _guard(match: Match) -> str | None:
    pad = match["pad"]
    low, high = pad["low"], pad["high"]
    if pad["mode"] != "constant" or pad["value"] != 0:
        return "it does not pad with zeros"
    if any((low[a], high[a]) != (0, 0) for a in (0, len(low) - 1)):
        return "it pads the batch or the channels"
    if low != high:
        return "it pads one side more than the other"
    if not all(isinstance(p, int) for p in low):
        return "how much it pads depends on the input"
    return None


def _build(out: Rebuild, match: Match, like: Node) -> Any:
    conv = match.root
    inner = match["pad"]["low"][1:-1]
    padding = tuple(a + b for a, b in zip(conv["padding"], inner, strict=True))
    attrs = {**conv.attrs, "padding": padding}
    return out.emit("conv", match["x"], *conv.operands[1:], like=like, **attrs)


ROWS = [
    Rewrite("pad_conv", Is("conv", (Is("pad", (Bind("x"),), name="pad"),)), _guard, _build),
]


def fold_pad(graph: Graph, log: Log | None = None) -> bool:
    """conv(pad(x)) is a convolution that pads, where both sides get the same."""
    return rewrite(graph, ROWS, log)
