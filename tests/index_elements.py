"""Terms of the index analysis on concrete sizes: element by element, against the interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np
from pass_tools import random_case

from mlx_transpile.ir import Graph
from mlx_transpile.ir.dims import Expr, evaluate
from mlx_transpile.ir.graph import Param
from mlx_transpile.ir.interpret import bind_sizes, steps
from mlx_transpile.ir.recipe import evaluate as evaluate_recipe
from mlx_transpile.ir.types import Tensor
from mlx_transpile.passes.index_analysis import Analysis
from mlx_transpile.passes.index_terms import Both, Choice, Compare, Not, Read, Sum

CASES = ({"L": 1, "T": 1, "B": 1}, {"L": 5, "T": 3, "B": 2}, {"L": 3, "T": 6, "B": 3})


def element(term: Any, places: dict[str, int], read: Any) -> Any:
    """The value of a term where the symbols have these values."""
    again = lambda t: element(t, places, read)  # noqa: E731
    match term:
        case Expr():
            return evaluate(term, places)
        case Compare(left, kind):
            value = again(left)
            return {">=": value >= 0, "==": value == 0, "!=": value != 0}[kind]
        case Read(value, at):
            return read(value)[tuple(again(a) for a in at)].item()
        case Not(inner):
            return not again(inner)
        case Both(kind, parts):
            return (all if kind == "and" else any)(again(p) for p in parts)
        case Sum(base, reads):
            return again(base) + sum(n * again(r) for r, n in reads)
        case Choice(condition, yes, no):
            return again(yes if again(condition) else no)
    return term


def check_terms(graph: Graph, cases=CASES, largest: int = 4000) -> int:
    """Every term that is more than a read of its value gives the value's elements; how many."""
    analysis = Analysis()
    count = 0
    for sizes in cases:
        inputs, source = random_case(graph, sizes)
        count = _check(graph, analysis, inputs, source, largest)
    return count


def _check(graph: Graph, analysis: Analysis, inputs: Any, source: Any, largest: int) -> int:
    sizes = bind_sizes(graph, inputs)
    count = 0
    for node, results, known in steps(graph, inputs, source):
        for value, array in zip(node.results, results, strict=True):
            if not isinstance(value.type, Tensor) or array.size > largest:
                continue
            term = analysis.term(value)
            if _is_itself(term, value):
                continue
            count += 1
            _compare(term, np.asarray(array), sizes, _reader(known, source), node)
    return count


def _is_itself(term: Any, value: Any) -> bool:
    if isinstance(term, Sum) and term.base == 0 and len(term.reads) == 1:
        term = term.reads[0][0]
    return isinstance(term, Read) and term.value is value


def _reader(known: Any, source: Any) -> Any:
    def read(value: Any) -> np.ndarray:
        if isinstance(value, Param):
            return evaluate_recipe(value.recipe, source)
        return known[value]

    return read


def _compare(term: Any, array: np.ndarray, sizes: dict[str, int], read: Any, node: Any) -> None:
    for place in np.ndindex(array.shape):
        symbols = {**sizes, **{f"${axis}": i for axis, i in enumerate(place)}}
        found, expected = element(term, symbols, read), array[place].item()
        assert found == expected, (node.op, node.out, place, found, expected)
