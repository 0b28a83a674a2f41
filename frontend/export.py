"""Captures torch.export programs: `.pt2` archives, ExportedProgram, modules with example inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadRequest, TranspileError
from ..ir import Graph, Program, Tensor, Unequal, Value
from ..ir.dims import Expr, symbols
from .alias import Handle, owner
from .arrays import LazyArrays, to_numpy
from .equations import Sizes, Unsolvable, renamed
from .export_dims import captured_size, symbols_of, to_dim
from .export_graph import Walk
from .export_load import load_exported
from .export_run import EagerRunner, GraphRunner, Runner
from .export_spec import call_arguments, map_tree, unflatten
from .host import Scalar
from .inputs import InputSpec
from .schema import dtype_from_torch
from .source import Captured, DimEvidence

_ROUNDS = 100
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
    """An `nn.Module` (or `GraphModule`) in eval mode with example inputs, or with inputs described."""
    from .export_module import call_of, export_module, inputs_of

    if example_inputs is None and not inputs:
        raise BadRequest(
            f"the {type(module).__name__} comes without example inputs",
            hint="example_inputs=..., or --input NAME=DIMS[:DTYPE] for every input of forward",
        )
    call = inputs_of(inputs or [], module) if example_inputs is None else call_of(example_inputs)
    source = Exported(export_module(module, call))
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

    def __init__(self, program: Any):
        _refuse_mutation(program)
        self.program, self.module = program, program.graph_module
        self.held = [s for s in program.graph_signature.input_specs]
        tensors = {**program.state_dict, **program.constants}
        self.tensors = {k: v for k, v in tensors.items() if hasattr(v, "untyped_storage")}
        self.aliases = aliases(self.tensors)
        self.same = same_modules(self.tensors, self.aliases)
        self.buffers = frozenset(
            s.target for s in self.held if s.kind.name == "BUFFER" and not s.persistent
        )

    @cached_property
    def leaves(self) -> list[Leaf]:
        values = {n.name: n.meta.get("val") for n in self.module.graph.nodes if n.op == "placeholder"}
        return [
            Leaf(s.arg.name, s.arg.value if _is_constant(s.arg) else values[s.arg.name])
            for s in self.held
            if s.kind.name == "USER_INPUT"
        ]

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

    def walk(self, dim: Callable[[str], int | Expr]) -> Graph:
        """The graph with these dims for torch's symbols; Unequal where they contradict each other."""
        walk = Walk(self.module, self.tensors, self.buffers, self.same)
        values = {s.arg.name: self._tensor(walk, s) for s in self.held}
        inputs: list[Value | None] = []
        for leaf in self.leaves:
            values[leaf.holder] = leaf.value
            inputs.append(_input(leaf, dim) if leaf.is_tensor else None)
            if isinstance(inputs[-1], Value):
                values[leaf.holder] = owner(inputs[-1], dense=True)
        outputs = walk.run(self.module, values)
        walk.lowering.finish()
        walk.graph.arguments = [(n, t) for n, t in self.arguments(inputs) if _holds_value(t)]
        walk.graph.result = self.nest([_returned(walk, o) for o in outputs])
        return walk.graph

    def _tensor(self, walk: Walk, spec: Any) -> Any:
        match spec.kind.name:
            case "PARAMETER" | "BUFFER":
                return walk.param(self.aliases.get(spec.target, spec.target))
            case "CONSTANT_TENSOR":
                return walk.constant(spec.target, self.tensors[spec.target])
        return None

    def solve(self, specs: Sequence[InputSpec]) -> tuple[Graph, Sizes]:
        """Walks until no equation between sizes is left."""
        sizes = symbols_of(self.fakes, self.program.range_constraints)
        wanted = self._stated(specs, sizes)
        for _ in range(_ROUNDS):
            try:
                self.walk(sizes.of)
                break
            except Unequal as equation:
                place = "; ".join(getattr(equation, "__notes__", []))
                try:
                    sizes.solve(equation.left, equation.right, place)
                except Unsolvable as error:
                    raise TranspileError(f"sizes do not fit: {error}", where=place) from None
        else:
            raise TranspileError("the equations between the input sizes have no end")
        dims = renamed(sizes, readable(sizes, self.fakes, wanted))
        return self.walk(dims.__getitem__), sizes

    def _stated(self, specs: Sequence[InputSpec], sizes: Sizes) -> dict[str, str]:
        """Fixes what `--input` fixes; gives its names for symbols."""
        flat = iter(self.fakes)
        named = self.arguments([next(flat) if leaf.is_tensor else None for leaf in self.leaves])
        tensors = {name: tree for name, tree in named if hasattr(tree, "shape")}
        names: dict[str, str] = {}
        for spec in specs:
            if spec.name not in tensors:
                raise BadRequest(f"the model has no input {spec.name!r}", hint=f"one of {', '.join(tensors)}")
            _state(spec, tensors[spec.name], sizes, names)
        return names

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
        return [to_numpy(v) for v, leaf in pairs if leaf.is_tensor] if len(flat) == len(self.leaves) else None

    def captured(self, specs: Sequence[InputSpec], runner: Runner) -> Captured:
        from .random_inputs import random_inputs

        graph, sizes = self.solve(specs)
        examples = self.examples()
        if examples is None:
            at_capture = _sizes_at_capture(graph, self.fakes)
            examples = random_inputs(graph, at_capture, np.random.default_rng(0))
        return Captured(
            Program({"forward": graph}),
            FORMAT,
            LazyArrays(self.tensors),
            runner.run,
            runner.module_outputs,
            examples,
            evidence(graph, self.fakes, sizes),
            self.baked(),
            {"aliases": self.aliases},
        )

    def baked(self) -> dict[str, Any]:
        """Arguments that the export fixed: None, bools, numbers."""
        values = [_TENSOR if leaf.is_tensor else leaf.value for leaf in self.leaves]
        return {n: tree for n, tree in self.arguments(values) if not _holds(tree, _TENSOR)}


_TENSOR = object()


def _is_constant(argument: Any) -> bool:
    return type(argument).__name__ == "ConstantArgument"


def _input(leaf: Leaf, dim: Callable[[str], int | Expr]) -> Value:
    shape = tuple(to_dim(d, dim) for d in leaf.value.shape)
    return Value(Tensor(dtype_from_torch(leaf.value.dtype), shape), leaf.holder)


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
    if isinstance(value, Scalar):
        value = walk.lowering.tensor(value)
    return walk.lowering.read(value) if isinstance(value, Handle) else value


def _refuse_mutation(program: Any) -> None:
    for spec in program.graph_signature.output_specs:
        if spec.kind.name in ("BUFFER_MUTATION", "PARAMETER_MUTATION"):
            raise TranspileError(
                f"mutated buffer: the model writes to {spec.target}; models that keep state are not supported yet",
                hint="pass the state as an input and return the new one",
            )


def _state(spec: InputSpec, tensor: Any, sizes: Sizes, names: dict[str, str]) -> None:
    """One `--input` against what the program says of that input."""
    text = f"--input {spec}"
    if dtype_from_torch(tensor.dtype) is not spec.dtype or len(tensor.shape) != len(spec.dims):
        actual = f"{dtype_from_torch(tensor.dtype)} of rank {len(tensor.shape)}"
        raise BadRequest(f"{spec.name} is {actual} in the export", where=text)
    for given, size in zip(spec.dims, tensor.shape, strict=True):
        if isinstance(size, int):
            if isinstance(given, int) and given != size:
                raise BadRequest(f"the export fixed a dim of {spec.name} to {size}", where=text)
            continue
        if isinstance(given, int):
            sizes.fix(str(size.node.expr), given, f"stated by {text}")
        elif size.node.expr.is_Symbol:
            names[str(size.node.expr)] = given


# ---- tensors and modules that have several names


def aliases(tensors: Mapping[str, Any]) -> dict[str, str]:
    """Other names of tensors that are one: name -> first name."""
    first: dict[Any, str] = {}
    out: dict[str, str] = {}
    for name, t in tensors.items():
        place = (t.untyped_storage().data_ptr(), t.storage_offset(), tuple(t.shape), t.stride(), t.dtype)
        if t.numel() and first.setdefault(place, name) != name:
            out[name] = first[place]
    return out


def same_modules(tensors: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, str]:
    """Modules whose every tensor is another name of an earlier module's: path -> that module's path."""
    out: dict[str, str] = {}
    for name, other in aliases.items():
        left, right = name.split("."), other.split(".")
        while left and right and left[-1] == right[-1]:
            left, right = left[:-1], right[:-1]
            a, b = ".".join(left), ".".join(right)
            inside = [n for n in tensors if n.startswith(f"{a}.")]
            if a and b and a != b and all(aliases.get(n) == b + n[len(a) :] for n in inside):
                out[a] = b
    return out


# ---- dims


def readable(sizes: Sizes, fakes: Sequence[Any], wanted: Mapping[str, str]) -> dict[str, str]:
    """Names for the free symbols: those stated, B for a first axis, L for the next length, then T, S ..."""
    names = dict(wanted)
    taken = set(names.values())
    lengths = (n for n in [*"LTSNMHW", *(f"D{i}" for i in range(1, 1000))] if n not in taken)
    batches = (n for n in "B" if n not in taken)
    for fake in fakes:
        for axis, size in enumerate(fake.shape):
            if isinstance(size, int):
                continue
            for name in sorted(s.name for s in symbols(to_dim(size, sizes.of)) if s.name in sizes.captured):
                if name not in names:
                    names[name] = (next(batches, "") if axis == 0 else "") or next(lengths)
    return names


def _sizes_at_capture(graph: Graph, fakes: Sequence[Any]) -> dict[str, int]:
    out: dict[str, int] = {}
    for value, fake in zip(graph.inputs, fakes, strict=True):
        for dim, size in zip(value.tensor.shape, fake.shape, strict=True):
            if isinstance(dim, Expr):
                out.setdefault(str(dim), captured_size(size))
    return out


def evidence(graph: Graph, fakes: Sequence[Any], sizes: Sizes) -> list[DimEvidence]:
    """What the export and the equations say of every dim of every input."""
    seen: set[str] = set()
    out = []
    for value, fake in zip(graph.inputs, fakes, strict=True):
        for axis, (dim, size) in enumerate(zip(value.tensor.shape, fake.shape, strict=True)):
            why = "fixed by the export" if isinstance(size, int) else "symbolic in the export"
            if not isinstance(size, int):
                why = sizes.evidence.get(str(size.node.expr), why)
            text = None if isinstance(dim, int) else str(dim)
            kind = "static" if text is None else "tied" if text in seen else "free"
            seen |= {text} if text else set()
            out.append(DimEvidence(value.hint, axis, kind, captured_size(size), text, why))
    return out
