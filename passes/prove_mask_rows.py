"""Attention masks that leave every query a key need no guard against empty rows."""

from __future__ import annotations

from ..ir import Graph, Node
from ..ir.dims import symbols
from .index_analysis import Analysis
from .index_masks import scores, visible_keys
from .index_terms import Both, Dim, Formula, Not, Read, TooLarge, both, index, moved, reads_of


def prove_mask_rows(graph: Graph) -> bool:
    """Clear `empty_rows` where the first key, or a query's own, is visible to every query.

    What the mask says of positions must show that. What it says of keys by data (a padding mask) is
    taken to leave the first key visible: left padding empties only rows of padding, whose results
    mean nothing. Data that pairs queries with keys (chunks that begin where padding ends) promises
    nothing. That a query sees itself counts only where no data can hide it.
    """
    analysis = Analysis()
    changed = False
    for node in graph.nodes:
        if node.op == "attention" and node["empty_rows"] and _shows_a_key(node, analysis):
            node.attrs["empty_rows"] = False
            changed = True
    return changed


def _shows_a_key(node: Node, analysis: Analysis) -> bool:
    visible = visible_keys(analysis, node)
    if visible is None:
        return False
    shape = scores(node)
    if _at_key(_with_data_shown(visible), 0, shape) is True:
        return True
    own_key = index(2, shape[2]) + shape[3] - shape[2]
    return (
        not reads_of(visible) and shape[2] == shape[3] and _at_key(visible, own_key, shape) is True
    )


def _at_key(visible: Formula, key: Dim, shape: tuple[Dim, ...]) -> Formula:
    """Whether the queries see one key, which may depend on the query."""
    try:
        at: Formula = moved(visible, {"$3": key}, shape)
    except TooLarge:
        return False
    return at


def _with_data_shown(visible: Formula) -> Formula:
    match visible:
        case Read() | Not():
            return not _pairs(reads_of(visible)[0])
        case Both(kind, parts):
            return both(kind, *map(_with_data_shown, parts))
    return visible


def _pairs(read: Read) -> bool:
    """Whether the data depends on the query and on the key."""
    found = {s.name for dim in read.at for s in symbols(dim)}
    return {"$2", "$3"} <= found
