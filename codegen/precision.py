"""Parameters that stay float32 whatever the weights are stored as.

The angles of rotary embeddings: MLX turns by float32 angles and gives the dtype of what is turned,
so such a table costs nothing in half precision and would lose all precision there (angles go up to
the position). The windows of Fourier transforms, transforms written as convolutions, and the
filters that are put on spectra: the power of a spectrum goes over more orders of magnitude than
half precision has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..ir import Graph, Node, Param, Value

FREQS = 1  # the operand of `rope`
FFTS = frozenset(["fft", "ifft", "rfft", "irfft", "stft", "istft"])
_VIEWS = ("expand_dims", "squeeze", "reshape", "transpose", "slice", "pad", "broadcast_to")
_CARRIES = frozenset(["multiply", "divide", "square", "cast", *_VIEWS])


def precise_parameters(graph: Graph) -> set[str]:
    """The names of the parameters that stay float32."""
    angles = _only_for(graph, lambda node, place: node.op == "rope" and place == FREQS)
    windows = _only_for(graph, lambda node, place: node.op in FFTS, _CARRIES)
    found = {*angles, *(p for p in windows if p.buffer), *_spectral(graph)}
    return {p.name for p in found if p.tensor.dtype.is_float}


def _only_for(
    graph: Graph, wanted: Callable[[Node, int], bool], through: frozenset[str] | None = None
) -> Iterator[Param]:
    """The parameters that nothing but the wanted operands are computed from."""
    read: set[Value] = set()
    otherwise = set(graph.outputs)

    def leads_there(node: Node, place: int) -> bool:
        if wanted(node, place):
            return True
        carried = through is None or node.op in through
        return carried and all(v in read and v not in otherwise for v in node.results)

    for node in reversed(graph.nodes):  # readers first
        for place, operand in enumerate(node.operands):
            if isinstance(operand, Value):
                if not leads_there(node, place):
                    otherwise.add(operand)
                read.add(operand)
    return (p for p in graph.params.values() if p in read and p not in otherwise)


# ---- spectra


def _spectral(graph: Graph) -> Iterator[Param]:
    """Transforms that are convolutions, and the stored filters that spectra go through."""
    spectra: set[Value] = set()
    for node in graph.nodes:
        transforms = _transforms(node)
        for conv in transforms:
            yield from (v for v in conv.values if isinstance(v, Param))
        params = [v for v in node.values if isinstance(v, Param)]
        below = any(v in spectra for v in node.values)
        if below and all(p.buffer for p in params):
            yield from params
        if transforms or node.op in FFTS or (below and all(p.buffer for p in params)):
            spectra.update(node.results)


def _transforms(node: Node) -> list[Node]:
    """The two convolutions whose squares the node adds: real and imaginary part of one tensor."""
    if node.op != "add" or not all(isinstance(o, Value) for o in node.operands):
        return []
    parts = [_squared(v) for v in node.values]
    convs = [p for p in parts if p is not None and p.op == "conv"]
    alike = len(convs) == 2 and convs[0].operands[0] is convs[1].operands[0]
    return convs if alike and convs[0] is not convs[1] else []


def _squared(value: Value) -> Node | None:
    """What makes the value that is squared."""
    node = value.node
    if node is None or not node.operands:
        return None
    square = node.op == "square" or (node.op == "power" and node.operands[1] == 2)
    product = node.op == "multiply" and node.operands[0] is node.operands[1]
    base = node.operands[0]
    return base.node if (square or product) and isinstance(base, Value) else None
