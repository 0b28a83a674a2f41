"""Captures torch.export programs: `.pt2` archives, ExportedProgram, modules with example inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadRequest, TranspileError
from ..ir import Graph, Program, Tensor, Value
from ..ir.dims import Expr, symbols
from .alias import Handle, owner
from .arrays import LazyArrays, as_arrays, to_numpy
from .data_numbers import DataNumber
from .export_dims import InputDims
from .export_graph import Walk, constant_names, recurrent
from .export_load import load_exported, size_guards
from .export_names import aliases, modules_by_identity, modules_by_tensors
from .export_run import EagerRunner, GraphRunner, Runner
from .export_spec import call_arguments, map_tree, unflatten
from .export_trace import module_classes
from .host import Scalar
from .inputs import InputSpec
from .probe import evidence, probe
from .random_inputs import random_inputs
from .schema import dtype_from_torch
from .size_facts import renamed
from .source import Captured

FORMAT = "export"


def capture_archive(path: str | Path, inputs: Sequence[InputSpec] | None = None) -> Captured:
    """The program in a `.pt2` archive."""
    return capture_program(load_exported(path), inputs)


def capture_program(program: Any, inputs: Sequence[InputSpec] | None = None) -> Captured:
    """An `ExportedProgram`."""
    source = Exported(program)
    return source.captured(inputs or [], GraphRunner(source))


def capture_module(
    module: Any, example_inputs: Any, inputs: Sequence[InputSpec] | None = None
) -> Captured:
    """An `nn.Module` (or `GraphModule`) in eval mode, with example inputs or inputs described."""
    from .export_module import call_of, export_module, inputs_of

    if example_inputs is None and not inputs:
        raise BadRequest(
            f"the {type(module).__name__} comes without example inputs",
            hint="example_inputs=..., or --input NAME=DIMS[:DTYPE] for every input of forward",
        )
    call = inputs_of(inputs or [], module) if example_inputs is None else call_of(example_inputs)
    source = Exported(export_module(module, call), module)
    return source.captured(inputs or [], EagerRunner(source, module, call))


@dataclass(frozen=True)
class Leaf:
    """One flat user input: a fake tensor, or the value that the export fixed."""

    holder: str
    value: Any

    @property
    def is_tensor(self) -> bool:
        return hasattr(self.value, "dtype") and hasattr(self.value, "shape")


class Exported:
    """An exported program and what is known of its tensors and inputs."""

    def __init__(self, program: Any, origin: Any = None):
        """`origin` is the module that was exported, where it is at hand."""
        _refuse_mutation(program)
        self.program, self.module = program, program.graph_module
        self.name = origin._get_name() if origin is not None else ""
        self.held = list(program.graph_signature.input_specs)
        self.baked_buffers: dict[str, Any] = {}  # numbers that stand in the code
        tensors = {**program.state_dict, **program.constants}
        self.tensors = {k: v for k, v in tensors.items() if hasattr(v, "untyped_storage")}
        self.aliases = aliases(self.tensors)
        state = [s.target for s in self.held if s.kind.name in ("PARAMETER", "BUFFER")]
        if origin is not None:
            self.same = modules_by_identity(origin)
        else:
            self.same = modules_by_tensors(state, self.aliases, module_classes(self.module.graph))
        self.buffers = frozenset(
            s.target for s in self.held if s.kind.name == "BUFFER" and not s.persistent
        )

    @cached_property
    def leaves(self) -> list[Leaf]:
        values = {
            n.name: n.meta.get("val") for n in self.module.graph.nodes if n.op == "placeholder"
        }
        return [
            Leaf(s.arg.name, s.arg.value if _is_constant(s.arg) else values[s.arg.name])
            for s in self.held
            if s.kind.name == "USER_INPUT"
        ]

    @cached_property
    def read(self) -> frozenset[str]:
        """The placeholders that a node reads."""
        nodes = self.module.graph.nodes
        return frozenset(n.name for n in nodes if n.op == "placeholder" and n.users)

    @cached_property
    def constants(self) -> dict[str, str]:
        return constant_names(self.module.graph)

    @property
    def fakes(self) -> list[Any]:
        return [leaf.value for leaf in self.leaves if leaf.is_tensor]

    def arguments(self, flat: list[Any]) -> list[tuple[str, Any]]:
        """The named arguments with these values for the flat inputs."""
        names = self.program.module_call_graph[0].signature.forward_arg_names
        return call_arguments(self.program.call_spec, names, flat)

    def nest(self, flat: Sequence[Any]) -> Any:
        """Flat outputs in the structure that the model returns."""
        return unflatten(self.program.call_spec.out_spec, iter(flat))

    def arrays(self, flat: Sequence[Any]) -> Any:
        return self.nest([to_numpy(v) if hasattr(v, "untyped_storage") else v for v in flat])

    # ---- the walk

    def walk(self, shapes: Sequence[tuple[int | Expr, ...]]) -> Graph:
        """The graph for tensor inputs of these shapes; Unequal where they contradict each other."""
        walk = Walk(self.module, self.tensors, self.buffers, self.same, self.name)
        values = {s.arg.name: self._tensor(walk, s) for s in self.held}
        sized = iter(shapes)
        walk.lowering.b.found.taken = {
            s.name for shape in shapes for d in shape for s in symbols(d)
        }
        inputs: list[Value | None] = []
        for leaf in self.leaves:
            values[leaf.holder] = leaf.value
            inputs.append(_input(leaf, next(sized)) if leaf.is_tensor else None)
            if isinstance(inputs[-1], Value):
                values[leaf.holder] = owner(inputs[-1], dense=True)
        outputs = walk.run(self.module, values)
        walk.lowering.finish()
        walk.graph.arguments = [(n, t) for n, t in self.arguments(inputs) if _holds_value(t)]
        walk.graph.result = self.nest([_returned(walk, o) for o in outputs])
        self.baked_buffers = walk.baked
        return walk.graph

    def _tensor(self, walk: Walk, spec: Any) -> Any:
        match spec.kind.name:
            case "PARAMETER" | "BUFFER":
                if spec.arg.name not in self.read:
                    return None
                return walk.param(self.aliases.get(spec.target, spec.target))
            case "CONSTANT_TENSOR":
                readable = self.constants.get(spec.arg.name, "")
                return walk.constant(spec.target, self.tensors[spec.target], readable)
        return None

    def dims(self, specs: Sequence[InputSpec]) -> InputDims:
        """Symbols for the sizes of the inputs, with what the export and `--input` fix."""
        flat = iter(self.fakes)
        named = self.arguments([next(flat) if leaf.is_tensor else None for leaf in self.leaves])
        labels = dict(_labels(named))
        fixed = "fixed by the export"
        if recurrent(self.module.graph):
            fixed += " (it fixes lengths of recurrent layers: transpile the module itself)"
        fakes = [(labels[id(f)], f) for f in self.fakes]
        dims = InputDims(fakes, self.program.range_constraints, fixed, size_guards(self.program))
        for spec in specs:
            dims.state(spec)
        return dims

    # ---- running

    def operands(self, tensors: Sequence[Any]) -> list[Any]:
        """Values for all placeholders in the order of the graph."""
        given = iter(tensors)
        flat = {leaf.holder: next(given) if leaf.is_tensor else leaf.value for leaf in self.leaves}
        return [
            flat[s.arg.name] if s.kind.name == "USER_INPUT" else self.tensors.get(s.target)
            for s in self.held
        ]

    def examples(self) -> list[np.ndarray] | None:
        """The example inputs, where the program holds them."""
        from torch.utils._pytree import tree_leaves

        if self.program.example_inputs is None:
            return None
        flat = tree_leaves(self.program.example_inputs)
        pairs = zip(flat, self.leaves)
        return (
            [to_numpy(v) for v, leaf in pairs if leaf.is_tensor]
            if len(flat) == len(self.leaves)
            else None
        )

    def captured(self, specs: Sequence[InputSpec], runner: Runner) -> Captured:
        dims = self.dims(specs)
        sizes = dims.sizes
        _, ran = probe(lambda known: self.walk(dims.shapes(known)), sizes, runner.run)
        names = dims.names()
        graph = self.walk(dims.shapes(renamed(sizes, names)))
        examples = self.examples()
        if examples is None:
            at_capture = {new: sizes.captured[old] for old, new in names.items()}
            examples = random_inputs(graph, at_capture, np.random.default_rng(0))

        def run(arrays: Sequence[np.ndarray]) -> Any:
            return as_arrays(graph.result, runner.run(arrays))

        return Captured(
            program=Program({"forward": graph}),
            format=FORMAT,
            tensors=LazyArrays(self.tensors),
            example_inputs=examples,
            dims=evidence(dims.axes, sizes, names, ran),
            baked=self.baked(),
            details={"aliases": self.aliases, "baked_buffers": self.baked_buffers},
            **runner.draws.runs(graph, run, runner.module_outputs, runner.narrow()),
        )

    def baked(self) -> dict[str, Any]:
        """Arguments that the export fixed: None, bools, numbers."""
        values = [_TENSOR if leaf.is_tensor else leaf.value for leaf in self.leaves]
        return {n: tree for n, tree in self.arguments(values) if not _holds(tree, _TENSOR)}


_TENSOR = object()


def _is_constant(argument: Any) -> bool:
    return type(argument).__name__ == "ConstantArgument"


def _input(leaf: Leaf, shape: tuple[int | Expr, ...]) -> Value:
    return Value(Tensor(dtype_from_torch(leaf.value.dtype), shape), leaf.holder)


def _labels(named: Any, label: str = "") -> Iterator[tuple[int, str]]:
    """Names of the tensors in nested arguments: `state.0`, `extra.bias`; by identity."""
    pairs = named if isinstance(named, list) and not label else _children(named)
    for key, tree in pairs:
        name = f"{label}.{key}" if label else str(key)
        if isinstance(tree, dict | list | tuple):
            yield from _labels(tree, name)
        else:
            yield id(tree), name


def _children(tree: Any) -> list[tuple[Any, Any]]:
    return list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree))


def _holds_value(tree: Any) -> bool:
    found: list[Any] = []
    map_tree(found.append, tree)
    return any(isinstance(v, Value) for v in found)


def _holds(tree: Any, mark: Any) -> bool:
    found: list[Any] = []
    map_tree(found.append, tree)
    return any(v is mark for v in found)


def _returned(walk: Walk, value: Any) -> Any:
    """An output: a value, a number, a size, or None."""
    if isinstance(value, Scalar | DataNumber):
        value = walk.lowering.tensor(value)
    return walk.lowering.read(value) if isinstance(value, Handle) else value


def _refuse_mutation(program: Any) -> None:
    for spec in program.graph_signature.output_specs:
        if spec.kind.name in ("BUFFER_MUTATION", "PARAMETER_MUTATION"):
            raise TranspileError(
                f"mutated buffer: the model writes to {spec.target}; "
                "models that keep state are not supported yet",
                hint="pass the state as an input and return the new one",
            )
