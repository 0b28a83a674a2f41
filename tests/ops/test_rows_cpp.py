"""Every row of the op table as C++: what it prints, compiled and run beside the NumPy reference."""

from __future__ import annotations

import fcntl
import functools
import os
import re
from collections.abc import Callable
from typing import Any

import cpp_harness
import mlx.core as mx
import pytest
from cpp_harness import Run, layer_function, op_function, slotted_function
from op_harness import close_of, to_mlx, to_numpy
from op_inputs import LINES, REAL, SIZES, WITH_LAYER, array_of, node_of, reference

from mlx_transpile.codegen.cpp import used_helpers
from mlx_transpile.codegen.cpp_functions import Parameter, functions, helper_parameters, layers
from mlx_transpile.ir import Node, Value
from mlx_transpile.ir.tree import Layer
from mlx_transpile.ir.types import DType
from mlx_transpile.runtime import cpp_helper_names, cpp_helper_source

compiled = pytest.mark.skipif(bool(cpp_harness.MISSING), reason=cpp_harness.MISSING)
SMALL, LARGE = SIZES
LAYERS = [line for line in WITH_LAYER if node_of(line).row.layer(node_of(line))]  # type: ignore[misc]


def half(line: str) -> str:
    return line.replace("f32", "bf16")


def operands(node: Node, sizes: dict[str, int]) -> list[Any]:
    return [array_of(node, i, sizes) for i in range(len(node.operands))]


def layer_of(node: Node) -> Layer:
    found = node.row.layer(node)  # type: ignore[misc]
    assert found is not None
    return found


# ---- without a compiler


@pytest.mark.parametrize("line", LINES)
def test_row_has_a_form_in_cpp(line: str) -> None:
    """A row that cannot be rendered in C++ cannot be added."""
    node = node_of(line)
    code = op_function(node)
    if line in LAYERS:
        code += layer_function(layer_of(node), node, SMALL)
    missing = set(used_helpers(code)) - set(cpp_helper_names())
    assert not missing, f"runtime/cpp has no {sorted(missing)}, which {node.op} prints:\n{code}"


def printed_helpers() -> set[str]:
    """The runtime helpers that rows and layers print."""
    nodes = [node_of(line) for line in LINES]
    trees = [n.row.tree(n) for n in nodes] + [layer_of(node_of(line)) for line in LAYERS]
    return set(re.findall(r"runtime\.(\w+)", repr(trees)))


def parameters_of() -> dict[str, tuple[Parameter, ...]]:
    """What calls are printed by: the parameters of each nn:: function and class."""
    found = {name: helper_parameters(name) for name in printed_helpers()}
    found |= {name.removeprefix("nn."): parameters for name, parameters in layers().items()}
    for row in (r for rows in functions().values() for r in rows):
        for callee in {row.callee, row.mixed}:
            if callee.startswith("nn::"):
                found[callee.removeprefix("nn::")] = row.parameters
    return dict(sorted(found.items()))


PARAMETERS = parameters_of()


@pytest.mark.parametrize("name", PARAMETERS)
def test_helper_has_the_parameters_that_calls_are_printed_by(name: str) -> None:
    """In their order; beyond those that both have, each may have further optional ones."""
    assert name in cpp_helper_names(), f"runtime/cpp has no {name}.h"
    wanted = [(p.name, p.default) for p in PARAMETERS[name]]
    skipped = 2 if name[0].isupper() else 0  # the weights and the name of a layer
    overloads = [o[skipped:] for o in cpp_harness.signatures(cpp_helper_source(name).source, name)]
    assert any(map(functools.partial(agree, wanted), overloads)), f"{wanted} beside {overloads}"


def agree(first: list[tuple[str, str]], second: list[tuple[str, str]]) -> bool:
    both = min(len(first), len(second))
    same = [n for n, _ in first[:both]] == [n for n, _ in second[:both]]
    return same and all(default for _, default in [*first[both:], *second[both:]])


# ---- the program


def runs() -> dict[str, Run]:
    """Every call that the tests below look at, by "kind line".

    Large ones have numbers as members of a class, small ones as literals.
    """
    found = {}
    for line in LINES:
        node = node_of(line)
        found[f"small {line}"] = run_of(op_function(node), node, SMALL)
        found[f"large {line}"] = run_of(slotted_function(node), node, LARGE)
    for line in REAL:
        node = node_of(half(line))
        found[f"half {line}"] = run_of(op_function(node), node, SMALL)
    for line in LAYERS:
        found[f"layer {line}"] = layer_run(node_of(line))
        found[f"half layer {line}"] = layer_run(node_of(half(line)))
    nothing = {"throws": 'throw std::runtime_error("on purpose");', "crashes": "std::abort();"}
    nothing["is no C++"] = "return on_purpose;\n"
    return found | {name: Run(text, [], SMALL) for name, text in nothing.items()}


def run_of(function: str, node: Node, sizes: dict[str, int]) -> Run:
    arrays = [a for a, o in zip(operands(node, sizes), node.operands) if isinstance(o, Value)]
    return Run(function, [to_mlx(a) for a in arrays], sizes)


def layer_run(node: Node) -> Run:
    layer, arrays = layer_of(node), operands(node, SMALL)
    weights = {name: to_mlx(arrays[i]) for i, name in layer.params}
    rest = [i for i, o in enumerate(node.operands) if isinstance(o, Value)]
    given = [to_mlx(arrays[i]) for i in rest if i not in {i for i, _ in layer.params}]
    return Run(layer_function(layer, node, SMALL), given, SMALL, weights)


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[mx.array] | str]:
    """One process of a session builds and runs the program; others that run beside it wait."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "rows_cpp"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / cpp_harness.FAILED).exists():
            cpp_harness.execute(folder, runs())
    return cpp_harness.results_in(folder)


@compiled
@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("kind,sizes", [("small", SMALL), ("large", LARGE)], ids=["small", "large"])
def test_cpp_beside_the_reference(
    results: dict[str, Any], line: str, kind: str, sizes: dict[str, int]
) -> None:
    check(results, f"{kind} {line}", node_of(line), sizes)


@compiled
def test_failures_stay_alone(results: dict[str, Any]) -> None:
    assert results["throws"] == "on purpose"
    assert results["crashes"] == "the program is ended by SIGABRT"
    assert re.search("does not compile(.|\\n)*error: .*on_purpose", results["is no C++"])


@compiled
@pytest.mark.parametrize("line", REAL)
def test_half_precision_stays_half_in_cpp(results: dict[str, Any], line: str) -> None:
    # Places may differ where rounding makes ties.
    check(results, f"half {line}", node_of(half(line)), SMALL, lambda dtype: dtype.is_float)


@compiled
@pytest.mark.parametrize("line", LAYERS)
def test_cpp_layer_beside_the_reference(results: dict[str, Any], line: str) -> None:
    check(results, f"layer {line}", node_of(line), SMALL)
    check(results, f"half layer {line}", node_of(half(line)), SMALL)


def check(
    results: dict[str, Any],
    run: str,
    node: Node,
    sizes: dict[str, int],
    compared: Callable[[DType], bool] = lambda dtype: True,
) -> None:
    """The results of a run, of the dtypes that `infer` gives, beside the reference."""
    arrays = results[run]
    assert not isinstance(arrays, str), arrays
    expected = reference(node, operands(node, sizes), sizes)
    for array, wanted, value in zip(arrays, expected, node.results, strict=True):
        found = to_numpy(array, value.type)
        if compared(value.tensor.dtype):
            close_of(node, found, wanted, value.tensor.dtype)
