"""ONNX models: a file or a ModelProto becomes a program, with its tensors and a way to run it.

No torch. Input dims come from `dim_param`; those without a name are free, and get one. Sizes that
an operator demands to be equal are learned while walking, and the walk starts again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import BadRequest, TranspileError
from ..ir import Graph, Param, Program, Scope, Tensor, Unequal, Value
from ..ir import dims as dimlib
from ..ir.dims import Expr, evaluate, product, symbol
from ..ir.draws import draws
from ..ir.recipe import Dequantize
from ..ir.types import dtype_of as numpy_dtype
from .inputs import InputSpec
from .onnx_dims import Dims
from .onnx_floats import shorten_floats
from .onnx_fuse import fuse_products
from .onnx_integers import integers
from .onnx_names import hint_of
from .onnx_read import NARROW, Tensors, dtype_of, read_file, read_proto
from .onnx_run import Runner, has_hints
from .onnx_values import LISTED, UNKNOWN, Host, Listed, NeedsValue, host
from .onnx_walk import Walk
from .onnx_windows import smallest_sizes
from .source import Captured, DimEvidence

_ROUNDS = 200
_MOST_ELEMENTS = 1 << 30  # of an example input


def capture_file(
    path: str | os.PathLike[str], inputs: Sequence[InputSpec] | None = None,
    example_inputs: Any = None,
) -> Captured:  # fmt: skip
    """The program of an .onnx file."""
    return _capture(read_file(path), inputs, example_inputs, Runner(os.fspath(path)))


def capture_model(
    proto: Any, inputs: Sequence[InputSpec] | None = None, example_inputs: Any = None
) -> Captured:
    """The program of a ModelProto in memory. `example_inputs` are arrays by name or in order."""
    model = read_proto(proto, os.getcwd(), proto.graph.name or "model")
    return _capture(model, inputs, example_inputs, Runner(proto))


@dataclass
class _Capture:
    """What is learned from one walk to the next."""

    model: Any
    dims: Dims
    examples: dict[str, np.ndarray]
    fixed: dict[str, np.ndarray] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)  # inputs that are read as sizes at run time


def _capture(
    model: Any, specs: Sequence[InputSpec] | None, example_inputs: Any, runner: Runner
) -> Captured:
    told = integers(model)
    fuse_products(model)
    inputs = [v for v in model.graph.inputs if v.name not in model.graph.initializers]
    examples = _examples(inputs, example_inputs)
    state = _Capture(model, Dims.of(inputs, specs or [], examples), examples)
    walk, graph = _walked(state, inputs)
    if state.dims.raise_bounds(smallest_sizes(graph)):
        walk, graph = _walked(state, inputs)
    if state.dims.name_quotients():
        walk, graph = _walked(state, inputs)
    shorten_floats(graph)
    names = {v: v.name for v in inputs}
    sizes = state.dims.sizes(graph)
    runner.hinted = has_hints(model)
    arrays = _example_arrays(graph, inputs, state, sizes, runner)
    order = [v.name for v in inputs if v.name not in state.fixed]
    runner.bind(order, state.fixed, names)
    runner.drawn = [walk.drawn.get(node, "") for node in draws(graph)]
    return Captured(
        program=Program({"forward": graph}),
        format="onnx",
        tensors=Tensors(model),
        run=runner.run,
        module_outputs=lambda arrays: {},
        example_inputs=arrays,
        dims=state.dims.evidence(graph, order, sizes),
        baked={name: array.tolist() for name, array in state.fixed.items()},
        details={
            "aliases": {},
            "integers": told,
            "rounds": bool(told),
            "seeds": list(dict.fromkeys(walk.seeds)),
        },
        run_drawing=runner.run_drawing if runner.drawn and all(runner.drawn) else None,
    )


def _examples(inputs: Sequence[Any], given: Any) -> dict[str, np.ndarray]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {k: np.asarray(v) for k, v in given.items()}
    if len(given) > len(inputs):
        raise BadRequest(f"{len(given)} example inputs for {len(inputs)} inputs")
    return {v.name: np.asarray(a) for v, a in zip(inputs, given, strict=False) if a is not None}


def _walked(state: _Capture, inputs: Sequence[Any]) -> tuple[Walk, Graph]:
    """Walk until no equation between sizes and no missing value turns up."""
    for _ in range(_ROUNDS):
        try:
            return _walk(state, inputs)
        except Unequal as equation:
            notes = getattr(equation, "__notes__", [])
            _no_data(equation, notes[0] if notes else "")
            state.dims.solve(equation.left, equation.right, notes[0] if notes else "")
        except NeedsValue as need:
            if need.readable and need.name not in state.examples:
                state.read.add(need.name)
                continue
            if need.name not in state.examples:
                raise TranspileError(
                    f"{need.why} is the input {need.name!r}: its values decide shapes",
                    hint="make it a constant of the model, or call transpile() from Python with "
                    f"example_inputs={{{need.name!r}: ...}}, which fixes it",
                ) from None
            state.fixed[need.name] = state.examples[need.name]
    raise TranspileError("the sizes of the inputs do not settle", hint="fix some with --input")


def _no_data(equation: Unequal, where: str) -> None:
    """A size that only the data decides equals another one only by chance."""
    for dim in (equation.left, equation.right):
        if any(s.low == 0 for s in dimlib.symbols(dim)):
            raise TranspileError(
                f"sizes {equation.left} and {equation.right} must be equal, and the data decides "
                f"{dim}",
                where=where,
                hint="shapes that are computed from sizes or constants work",
            )


def _walk(state: _Capture, inputs: Sequence[Any]) -> tuple[Walk, Graph]:
    graph = Graph(_name(state.model))
    walk = Walk(state.model, graph)
    env: dict[Any, Any] = {}
    taken: dict[str, str] = {}
    for value in inputs:
        name = _argument(value.name, taken)
        if value.name in state.fixed:
            array = state.fixed[value.name]
            env[value] = host(array, numpy_dtype(array), value.name)
            continue
        if value.dtype is None:
            raise TranspileError(f"the input {value.name!r} is no tensor, or has no element type")
        dtype = state.dims.dtype(value.name) or dtype_of(value.dtype, f"the input {value.name!r}")
        argument = Value(Tensor(dtype, state.dims.shape(value.name)), name)
        env[value] = argument
        walk.inputs[argument] = value.name
        graph.arguments.append((name, argument))
    walk.b.found.taken, walk.read = {s.name for s in graph.symbols()}, state.read
    results = walk.run(state.model.graph, env)
    graph.flat = all(node.scope is graph.root for node in graph.nodes)
    walk.missing.report()
    walk.b.scope, walk.b.source, walk.b.hint = graph.root, None, ""
    outputs = [_output(walk, r, v) for r, v in zip(results, state.model.graph.outputs, strict=True)]
    graph.result = outputs[0] if len(outputs) == 1 else tuple(outputs)
    _order_weights(graph)
    return walk, graph


def _order_weights(graph: Graph) -> None:
    """Parameters in the order of their use, where tools put what makes their floats in front."""
    if not any(isinstance(p.recipe, Dequantize) for p in graph.params.values()):
        return
    used = dict.fromkeys(v for node in graph.nodes for v in node.values if isinstance(v, Param))
    ordered = [p for p in used if graph.params.get(p.name) is p]
    graph.params = {p.name: p for p in ordered} | graph.params


def _output(walk: Walk, result: Any, value: Any) -> Value:
    from .onnx_values import Call

    if result is UNKNOWN or result is None:
        raise TranspileError(f"nothing computes the output {value.name!r}")
    if value.dtype is not None and value.dtype.name in NARROW:
        dtype_of(value.dtype, f"the output {value.name!r}")
    if isinstance(result, Listed):
        raise TranspileError(f"the output {value.name!r} is a sequence", hint=LISTED)
    if isinstance(result, Host):
        call = Call(walk.b, "output", {}, 1, [True], walk)
        found = call.value(result)
        return (
            found
            if not isinstance(found, Param)
            else walk.b.op("reshape", found, shape=found.tensor.shape)
        )
    found = result
    if not found.hint and found.node is not None:
        found.hint = _output_hint(value.name or "")
    return found


def _output_hint(name: str) -> str:
    class _Named:
        op_type = ""

    named: Any = _Named()
    named.outputs = [_Named()]
    named.outputs[0].name = name
    return hint_of(named)


_GENERIC = {"", "graph", "main", "main_graph", "maingraph", "torchjit", "torchjitexport", "onnx"}


def _name(model: Any) -> str:
    """The class of the whole model: from the exporter's metadata, else the graph's name."""
    for node in model.graph:
        classes = node.metadata_props.get("pkg.torch.onnx.class_hierarchy", "")
        found = re.match(r"\['([\w.]+)'", classes)
        if found and found[1].rsplit(".", 1)[-1][:1].isupper():
            return found[1].rsplit(".", 1)[-1]
    words = re.findall(r"[A-Za-z0-9]+", model.graph.name or "")
    joined = "".join(w[:1].upper() + w[1:] for w in words)
    if joined.lower() in _GENERIC or not joined[:1].isalpha() or not 2 < len(joined) < 40:
        return "Model"
    return joined


def _argument(name: str, taken: dict[str, str]) -> str:
    """The input's name as an identifier."""
    import keyword

    clean = re.sub(r"\W+", "_", re.sub(r"[^\x00-\x7f]", "", name)).strip("_") or "x"
    clean = f"x_{clean}" if clean[0].isdigit() or keyword.iskeyword(clean) else clean
    base, number = clean, 2
    while clean in taken:
        clean, number = f"{base}_{number}", number + 1
    taken[clean] = name
    return clean


def _example_arrays(
    graph: Graph, inputs: Sequence[Any], state: _Capture, sizes: dict[str, int], runner: Runner
) -> list[np.ndarray]:
    from .random_inputs import random_inputs

    for value in graph.inputs:
        size = evaluate(product(value.tensor.shape), sizes)
        if size > _MOST_ELEMENTS:
            raise BadRequest(
                f"the input {value.hint!r} has {size} elements at the least",
                hint="save the model with the sizes that it is made for",
            )
    arrays = random_inputs(graph, sizes, np.random.default_rng(0))
    free = [v.name for v in inputs if v.name not in state.fixed]
    return [state.examples.get(name, array) for name, array in zip(free, arrays, strict=True)]


__all__ = ["DimEvidence", "Expr", "Scope", "capture_file", "capture_model", "dimlib", "symbol"]
