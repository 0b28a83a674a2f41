"""Captures TorchScript archives: walks the saved module's own graphs, runs it on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadRequest, TranspileError
from ..ir import Graph, Program, Scope, Tensor, Value
from ..ir.dims import symbols
from ..ir.graph import leaves, map_structure
from .alias import Handle, owner
from .archive import Archive, open_archive
from .arrays import LazyArrays, as_arrays, to_numpy, to_torch
from .concrete import Concrete
from .draws import Draws
from .inputs import InputSpec
from .naming import distinct
from .narrow_run import narrow_run
from .plan import Block, Instruction
from .probe import evidence, probe, readable_names
from .random_inputs import random_inputs
from .signature import Leaf, Signature, from_examples, from_specs
from .size_facts import Dim, renamed
from .source import Captured
from .symbolic import ParameterNames, Symbolic
from .walk import Frame, Module, Plans, Walk, source_of


def capture_archive(path: str | Path, inputs: Sequence[InputSpec] | None = None) -> Captured:
    """The archive as IR, with evidence for the dims of its inputs.

    Raises BadRequest for a file or an input specification that does not fit, TranspileError for a
    model that cannot be captured.
    """
    source = _Source(open_archive(path))
    signature = source.signature(list(inputs) if inputs else None)
    sizes = signature.sizes()
    _, ran = probe(
        lambda dims: source.walk(signature, dims).graph,
        sizes,
        lambda arrays: source.run(signature, arrays),
    )
    names = readable_names(signature.axes(), sizes, signature.given)
    walked = source.walk(signature, renamed(sizes, names))
    captured_sizes = {new: sizes.captured[old] for old, new in names.items()}
    examples = random_inputs(walked.graph, captured_sizes, np.random.default_rng(0))

    def run(arrays: Sequence[np.ndarray]) -> Any:
        return as_arrays(walked.graph.result, source.run(signature, arrays))

    def module_outputs(arrays: Sequence[np.ndarray]) -> Any:
        return source.module_outputs(signature, arrays, walked.made)

    narrow = narrow_run(
        lambda: open_archive(path).module, lambda tensors: (signature.nest(tensors), {})
    )
    return Captured(
        program=Program({"forward": walked.graph}),
        format="torchscript",
        tensors=LazyArrays({**source.names.state, **walked.tensors}),
        example_inputs=examples,
        dims=evidence(signature.axes(), sizes, names, ran),
        baked=signature.baked,
        details={
            "aliases": source.names.aliases,
            "baked_buffers": walked.baked,
            "assertions": walked.dropped,
        },
        **source.draws.runs(walked.graph, run, module_outputs, narrow),
    )


# How much larger than usual to try dims that have no size.
_SCALES = (1, 4, 16, 64, 256)


# For each module call: which of the tensors that it returns it made itself.
Made = dict[tuple[str, int], list[bool]]


@dataclass
class _Walked:
    graph: Graph
    tensors: Mapping[str, Any]
    baked: Mapping[str, Any]
    made: Made
    dropped: Sequence[str]


class _Source:
    """An open archive: its plans are read once, its tensors named once."""

    def __init__(self, archive: Archive):
        self.archive = archive
        self.root = Module("", archive.raw)
        self.plans = Plans(archive.functions)
        state = dict(archive.module.named_parameters(remove_duplicate=False))
        parameters = set(state)
        self.names = ParameterNames(_in_state_order(archive.module, state), parameters)
        self.draws = Draws()

    # ---- inputs

    def signature(self, specs: list[InputSpec] | None) -> Signature:
        """Names, types and sizes of the inputs, from what the user states or the archive stores."""
        plan = self.plans.method(self.root, "forward")
        names = distinct([plan.hints.get(n, "") or n.split(".")[0] for n in plan.inputs[1:]])
        types = plan.input_types[1:]
        if specs is not None:
            return self._stated(names, types, specs)
        examples = self.archive.examples
        if examples is None or len(examples) != len(names):
            raise BadRequest(
                "the archive does not say what its inputs are",
                hint="state them: " + " ".join(f"--input {n}=DIMS:DTYPE" for n in names),
            )
        return self._in_order(names, examples)

    def _stated(self, names: list[str], types: Sequence[Any], specs: list[InputSpec]) -> Signature:
        """Dims without sizes are tried at small ones, and at larger ones where those do not run."""
        defaults, examples = self._defaults(names), self._examples(names)
        for scale in _SCALES:
            signature = from_specs(names, types, defaults, specs, examples, scale)
            if not signature.given or self._works(signature):
                return signature
        return from_specs(names, types, defaults, specs, examples)

    def _examples(self, names: list[str]) -> dict[str, Any]:
        """The archive's examples by name, where all of them fit as they stand."""
        examples = self.archive.examples
        if examples is None or len(examples) != len(names) or not self._runs(names, examples):
            return {}
        return dict(zip(names, examples))

    def _defaults(self, names: list[str]) -> dict[str, Any]:
        """Default values of forward's arguments."""
        arguments = self.archive.raw._get_method("forward").schema.arguments[1:]
        return {n: a.default_value for n, a in zip(names, arguments) if a.has_default_value()}

    def _in_order(self, names: list[str], examples: list[Any]) -> Signature:
        """Keyword inputs stand in the caller's order: another is taken where it alone runs."""
        if self._runs(names, examples) or len(examples) > 5:
            return from_examples(names, examples)
        orders = {tuple(map(repr, p)): list(p) for p in permutations(examples)}
        working = [order for order in orders.values() if self._runs(names, order)]
        if len(working) > 1:
            raise BadRequest(
                "the stored example inputs do not fit in their order, and fit in several others",
                hint="state them: " + " or ".join(_flags(names, order) for order in working[:3]),
            )
        return from_examples(names, working[0] if working else examples)

    def _runs(self, names: list[str], examples: list[Any]) -> bool:
        return self._works(from_examples(names, examples))

    def _works(self, signature: Signature) -> bool:
        try:
            self.run(signature, [leaf.sample() for leaf in signature.leaves()])
        except Exception:
            return False
        return True

    # ---- runs

    def run(self, signature: Signature, arrays: Sequence[np.ndarray]) -> Any:
        import torch

        args = signature.nest([to_torch(a) for a in arrays])
        with torch.no_grad(), torch.jit.optimized_execution(False), self.draws.watch():
            return map_structure(_array, self.archive.module(*args))

    def module_outputs(
        self, signature: Signature, arrays: Sequence[np.ndarray], made: Made
    ) -> dict[tuple[str, int], list[np.ndarray]]:
        """What every module call returns, less inputs that a trace lets it hand back."""
        import torch

        outputs: dict[tuple[str, int], list[np.ndarray]] = {}

        def leave(scope: Scope, result: Any) -> None:
            tensors = [v for v in leaves(result) if isinstance(v, torch.Tensor)]
            own = made.get((scope.path, scope.call), [])
            if len(own) == len(tensors) and any(own):
                tensors = [t for t, keep in zip(tensors, own) if keep]
            outputs[scope.path, scope.call] = [to_numpy(t).copy() for t in tensors]

        walk = Walk(Concrete(), self.plans, lambda *_: None, leave, lambda *_: None)
        with torch.no_grad(), self.draws.watch():
            walk.run(
                self.root,
                Scope("", self.root.cls),
                "forward",
                signature.nest([to_torch(a) for a in arrays]),
            )
        return outputs

    # ---- the walk

    def walk(self, signature: Signature, dims: Mapping[str, Dim]) -> _Walked:
        """The graph at these dims; Unequal for an equation, TranspileError for what fails."""
        graph = Graph(self.root.cls)
        domain = Symbolic(graph, self.names, free=bool(signature.given))
        builder = domain.lowering.b

        def position(frame: Frame, op: Instruction) -> None:
            builder.scope, builder.source = frame.scope, source_of(op)
            builder.hint = op.hint

        made: Made = {}
        leave = _note_made(domain, made)
        walk = Walk(domain, self.plans, _name_arguments(domain), leave, position)
        handles = [_input(leaf, dims) for leaf in signature.leaves()]
        args = signature.nest(handles)
        read = domain.lowering.read
        builder.found.taken = {s.name for h in handles for d in h.type.shape for s in symbols(d)}
        graph.arguments = [
            (name, read(arg))
            for name, arg in zip(signature.names, args)
            if name not in signature.baked
        ]
        try:
            result = walk.run(self.root, graph.root, "forward", args)
        except TranspileError:
            domain.lowering.finish()  # what is missing explains what went wrong after it
            raise
        domain.lowering.finish()
        builder.scope, builder.source, builder.hint = graph.root, None, ""
        graph.result = domain.result(result)
        return _Walked(graph, domain.tensors, domain.baked, made, domain.lowering.dropped)


def _in_state_order(module: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters and buffers in the order of the state dict, with all names of tied ones."""
    return {
        name: parameters.get(name, tensor)
        for name, tensor in module.state_dict(keep_vars=True).items()
    }


def _flags(names: Sequence[str], examples: Sequence[Any]) -> str:
    return " ".join(
        f"--input {leaf.spec}" for leaf in from_examples(list(names), list(examples)).leaves()
    )


def _array(value: Any) -> Any:
    return to_numpy(value).copy() if hasattr(value, "untyped_storage") else value


def _input(leaf: Leaf, dims: Mapping[str, Dim]) -> Handle:
    type = Tensor(leaf.dtype, tuple(dims[s] for s in leaf.symbols))
    return owner(Value(type, leaf.hint), dense=True)


def _note_made(domain: Symbolic, made: Made) -> Callable[[Scope, Any], None]:
    def own(value: Any, scope: Scope) -> bool:
        node = value.place.value.node if isinstance(value, Handle) else None
        return node is not None and scope.contains(node.scope)

    def leave(scope: Scope, result: Any) -> None:
        tensors = [v for v in leaves(result) if domain.is_tensor(v)]
        made[scope.path, scope.call] = [own(v, scope) for v in tensors]
        for tensor in tensors:
            if own(tensor, scope):
                _name_sum(tensor.place.value)

    return leave


def _name_sum(value: Value) -> None:
    """A sum without a name is called like what was added to: `h` for what `h + f(h)` returns.

    Saved code writes a module's last expression into its return, with or without a name: that
    depends on what else was traced before in the same process.
    """
    if value.hint or value.node is None or value.node.op != "add":
        return
    for operand in value.node.values:
        if operand.hint and operand.type == value.type:
            value.hint = operand.hint
            return


def _name_arguments(domain: Symbolic) -> Callable[[Scope, Block, list[Any]], None]:
    """Tells a scope the callee's own names of what it is called with."""

    def enter(scope: Scope, plan: Block, args: list[Any]) -> None:
        for name, arg in zip(plan.inputs[1:], args):
            if isinstance(arg, Handle) and plan.hints.get(name):
                scope.names.setdefault(domain.lowering.read(arg), plan.hints[name])

    return enter
