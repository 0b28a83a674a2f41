"""Captures torch.export programs: `.pt2` archives, ExportedProgram, modules with example inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadRequest, TranspileError
from ..ir import Graph, Program, Tensor, Unequal, Value
from ..ir.dims import Expr
from .alias import Handle, owner
from .arrays import Arrays, to_numpy
from .export_dims import hint_of, solve, to_dim
from .export_graph import Walk
from .export_load import load_exported
from .export_run import Runner
from .export_spec import call_arguments, map_tree, unflatten
from .host import Scalar
from .inputs import InputSpec
from .schema import dtype_from_torch
from .source import Captured, DimEvidence

_ROUNDS = 64


def capture_archive(path: str | Path, inputs: Sequence[InputSpec] | None = None) -> Captured:
    """The program in a `.pt2` archive."""
    return capture_program(load_exported(path), inputs)


def capture_program(program: Any, inputs: Sequence[InputSpec] | None = None) -> Captured:
    """An `ExportedProgram`."""
    return _Capture(program, inputs or []).captured()


@dataclass
class _Leaf:
    """One flat user input of the program."""

    holder: str
    name: str
    value: Any

    @property
    def is_tensor(self) -> bool:
        return hasattr(self.value, "dtype") and hasattr(self.value, "shape")


class _Capture:
    """What one capture needs to know about the program."""

    def __init__(self, program: Any, specs: Sequence[InputSpec]):
        _refuse_mutation(program)
        self.program, self.specs = program, specs
        self.tensors = {**program.state_dict, **program.constants}
        self.tensors = {k: v for k, v in self.tensors.items() if hasattr(v, "dtype")}
        self.aliases = aliases(self.tensors)
        self.same = same_modules(self.tensors, self.aliases)
        self.buffers = frozenset(
            s.target
            for s in program.graph_signature.input_specs
            if s.kind.name == "BUFFER" and not s.persistent
        )
        self.leaves = self._leaves()

    # ---- inputs

    def _leaves(self) -> list[_Leaf]:
        values = {n.name: n.meta.get("val") for n in self.program.graph.nodes if n.op == "placeholder"}
        found = []
        for spec in self.program.graph_signature.input_specs:
            if spec.kind.name == "USER_INPUT":
                name = spec.arg.name
                constant = type(spec.arg).__name__ == "ConstantArgument"
                found.append(_Leaf(name, name, spec.arg.value if constant else values[name]))
        return found

    def arguments(self, leaves: list[Any]) -> list[tuple[str, Any]]:
        entry = self.program.module_call_graph[0].signature
        return call_arguments(self.program.call_spec, entry.forward_arg_names, leaves)

    # ---- the walk

    def walk(self, sizes: Mapping[str, int | Expr]) -> tuple[Graph, list[Value]]:
        """The graph with these dims for torch's symbols; Unequal where they contradict each other."""
        module = self.program.graph_module
        walk = Walk(module, self.tensors, self.buffers, self.same, type(module).__name__)
        values: dict[str, Any] = {}
        for spec in self.program.graph_signature.input_specs:
            values[spec.arg.name] = self._held(walk, spec)
        inputs: list[Value] = []
        for leaf in self.leaves:
            if leaf.is_tensor:
                shape = tuple(to_dim(d, sizes) for d in leaf.value.shape)
                type_ = Tensor(dtype_from_torch(leaf.value.dtype), shape)
                inputs.append(walk.input(leaf.name, type_))
                values[leaf.holder] = owner(inputs[-1], dense=True)
            else:
                values[leaf.holder] = leaf.value
        outputs = walk.run(module, values)
        walk.lowering.finish()
        graph = walk.graph
        graph.arguments = self._signature(inputs)
        graph.result = self.nest([_returned(walk, o) for o in outputs])
        return graph, inputs

    def _held(self, walk: Walk, spec: Any) -> Any:
        match spec.kind.name:
            case "PARAMETER" | "BUFFER":
                return walk.param(self.aliases.get(spec.target, spec.target))
            case "CONSTANT_TENSOR":
                return walk.constant(spec.target, self.tensors[spec.target])
        return None

    def _signature(self, inputs: list[Value]) -> list[tuple[str, Any]]:
        values = iter(inputs)
        flat = [next(values) if leaf.is_tensor else None for leaf in self.leaves]
        return [(n, tree) for n, tree in self.arguments(flat) if _holds(tree)]

    def nest(self, flat: list[Any]) -> Any:
        return unflatten(self.program.call_spec.out_spec, iter(flat))

    def solved(self) -> tuple[Graph, list[Value], list[str]]:
        """Walks until no equation is left; gives the equations that were solved, too."""
        sizes, notes = self.sizes(), []
        for _ in range(_ROUNDS):
            try:
                return (*self.walk(sizes), notes)
            except Unequal as equation:
                answer = solve(equation.left, equation.right)
                place = "; ".join(getattr(equation, "__notes__", []))
                if not answer:
                    raise TranspileError(
                        f"sizes {equation.left} and {equation.right} must be equal, for which no rule is known",
                        where=place,
                        hint="fix a dim with --input NAME=DIMS",
                    ) from None
                notes.append(f"{equation.left} == {equation.right}: {place}")
                sizes = {k: substitute_dim(v, answer) for k, v in sizes.items()}
        raise TranspileError("the equations between the input sizes have no end")

    def sizes(self) -> dict[str, int | Expr]:
        """A dim for every symbol of torch in the inputs."""
        return name_symbols([l.value for l in self.leaves if l.is_tensor], self.program.range_constraints)

    # ---- running

    def operands(self, tensors: list[Any]) -> list[Any]:
        """Values for all placeholders in the order of the graph."""
        given = iter(tensors)
        flat = {l.holder: next(given) if l.is_tensor else l.value for l in self.leaves}
        return [
            flat[spec.arg.name] if spec.kind.name == "USER_INPUT" else self.tensors.get(spec.target)
            for spec in self.program.graph_signature.input_specs
        ]

    def examples(self) -> list[np.ndarray]:
        from torch.utils._pytree import tree_leaves

        if self.program.example_inputs is not None:
            flat = tree_leaves(self.program.example_inputs)
            if len(flat) == len(self.leaves):
                return [to_numpy(v) for v, l in zip(flat, self.leaves) if l.is_tensor]
        return [random_like(l.value) for l in self.leaves if l.is_tensor]

    def captured(self) -> Captured:
        graph, inputs, notes = self.solved()
        runner = Runner(
            self.program.graph_module, self.operands, lambda flat: map_tree(_array, self.nest(flat))
        )
        return Captured(
            Program({"forward": graph}),
            "export",
            Arrays(self.tensors),
            runner,
            lambda arrays: runner.module_outputs(arrays, self.same),
            self.examples(),
            evidence(inputs, [l.value for l in self.leaves if l.is_tensor], notes),
            {n: v for n, v in self.arguments([None if l.is_tensor else l.value for l in self.leaves]) if False},
            {"aliases": self.aliases, "equations": notes},
        )


def _holds(tree: Any) -> bool:
    if isinstance(tree, Value):
        return True
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list | tuple) else ()
    return any(_holds(c) for c in children)


def _array(value: Any) -> Any:
    return to_numpy(value) if hasattr(value, "detach") else value


def _returned(walk: Walk, value: Any) -> Any:
    """An output: a value, a number, a size, or None."""
    if isinstance(value, Scalar):
        value = walk.lowering.tensor(value)
    return walk.lowering.read(value) if isinstance(value, Handle) else value


def substitute_dim(dim: int | Expr, sizes: Mapping[str, int | Expr]) -> int | Expr:
    from ..ir.dims import substitute

    return substitute(dim, sizes)


def _refuse_mutation(program: Any) -> None:
    for spec in program.graph_signature.output_specs:
        if "MUTATION" in spec.kind.name and "INPUT" not in spec.kind.name:
            raise TranspileError(
                f"mutated buffer: the model writes to {spec.target}; models that keep state are not supported yet",
                hint="pass the state as an input and return the new one",
            )


def aliases(tensors: Mapping[str, Any]) -> dict[str, str]:
    """Other names of tensors that are one: name -> first name."""
    first: dict[Any, str] = {}
    out: dict[str, str] = {}
    for name, t in tensors.items():
        if t.numel() == 0:
            continue
        key = (t.untyped_storage().data_ptr(), t.storage_offset(), tuple(t.shape), t.stride(), t.dtype)
        if key in first:
            out[name] = first[key]
        else:
            first[key] = name
    return out


def same_modules(tensors: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, str]:
    """Module paths whose every tensor is another name of one of an earlier module: path -> that path."""
    out: dict[str, str] = {}
    for name, other in aliases.items():
        left, right = name.split("."), other.split(".")
        while left and right and left[-1] == right[-1]:
            left, right = left[:-1], right[:-1]
            a, b = ".".join(left), ".".join(right)
            inside = [n for n in tensors if n.startswith(f"{a}.")]
            if a and b and all(aliases.get(n) == b + n[len(a) :] for n in inside):
                out[a] = b
    return out


def name_symbols(values: Sequence[Any], ranges: Mapping[Any, Any]) -> dict[str, int | Expr]:
    """Readable symbols for torch's: B for a free first axis, L for the next length, then T, S ..."""
    from ..ir.dims import symbol

    names: dict[str, int | Expr] = {}
    lengths = iter([*"LTSNMHW", *(f"D{i}" for i in range(1, 1000))])
    batches = iter(["B"])
    limits = {str(k): v for k, v in ranges.items()}
    for value in values:
        for axis, size in enumerate(value.shape):
            if isinstance(size, int):
                continue
            for sym in sorted(map(str, size.node.expr.free_symbols)):
                if sym not in names:
                    name = next(batches, None) if axis == 0 else None
                    names[sym] = symbol(name or next(lengths), *_limits(limits.get(sym)))
    return names


def _limits(found: Any) -> tuple[int, int | None]:
    """Bounds of a symbol; 2 as the least is torch's own caution, not the model's."""
    if found is None:
        return 1, None
    low = int(found.lower) if found.lower.is_Integer and int(found.lower) > 2 else 1
    high = int(found.upper) if found.upper.is_Integer and int(found.upper) < 2**31 else None
    return low, high


def random_like(value: Any) -> np.ndarray:
    """A random array of the captured size; integers are 0 or 1."""
    shape = [hint_of(d) for d in value.shape]
    rng = np.random.default_rng(0)
    dtype = dtype_from_torch(value.dtype)
    if dtype.is_float:
        return rng.standard_normal(shape).astype(dtype.numpy)
    return rng.integers(0, 2, shape).astype(dtype.numpy)


def evidence(inputs: Sequence[Value], fakes: Sequence[Any], notes: Sequence[str]) -> list[DimEvidence]:
    seen: set[str] = set()
    out = []
    for value, fake in zip(inputs, fakes, strict=True):
        for axis, (dim, size) in enumerate(zip(value.tensor.shape, fake.shape, strict=True)):
            if isinstance(dim, int):
                kind, why = "static", "fixed by the export" if isinstance(size, int) else "; ".join(notes)
            else:
                kind, why = ("tied" if str(dim) in seen else "free"), "symbolic in the export"
                seen.add(str(dim))
            symbol = None if isinstance(dim, int) else str(dim)
            out.append(DimEvidence(value.hint, axis, kind, hint_of(size), symbol, why))
    return out
