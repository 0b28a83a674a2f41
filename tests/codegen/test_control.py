"""Control flow and shapes that depend on data: the IR, its text, Python and C++, beside onnxruntime."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx_control_models import CONTROL, SIZES, joined  # noqa: E402
from onnx_suite.suite import Suite, compiled, load, to_mlx  # noqa: E402

from mlx_transpile.codegen import emit  # noqa: E402
from mlx_transpile.codegen.project import write_cpp  # noqa: E402
from mlx_transpile.codegen.weights import make_rules, write_weights  # noqa: E402
from mlx_transpile.cpp_build import build, find_compiler, find_mlx, run_program  # noqa: E402
from mlx_transpile.frontend.onnx import capture_model  # noqa: E402
from mlx_transpile.ir import Graph, Program  # noqa: E402
from mlx_transpile.ir.clone import clone  # noqa: E402
from mlx_transpile.ir.graph import leaves  # noqa: E402
from mlx_transpile.ir.interpret import interpret  # noqa: E402
from mlx_transpile.ir.text import constants_of, parse_graph, print_graph  # noqa: E402
from mlx_transpile.ir.verify import VerifyError, verify  # noqa: E402
from mlx_transpile.passes import pipeline  # noqa: E402

MODELS = {**CONTROL, **SIZES}


def expected(proto: Any, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, arrays))


def alike(found: Any, wanted: list[np.ndarray]) -> None:
    for got, want in zip(leaves(found), wanted, strict=True):
        array = np.array(got)
        assert array.shape == want.shape
        assert array.dtype == want.dtype
        np.testing.assert_allclose(array, want, 1e-5, 1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_emitted_python(name: str) -> None:
    model = MODELS[name]
    emitted, fixed = compiled(Suite(name, model.proto, [], 0.0, 0.0))
    assert not fixed
    for run in range(len(model.runs)):
        arrays = model.arrays(run)
        alike(emitted(*(to_mlx(a) for a in arrays.values())), expected(model.proto, arrays))


@pytest.mark.parametrize("name", MODELS)
def test_ir(name: str) -> None:
    """Verified, printed and parsed again, copied, and computed by the reference: before the passes
    and after them.
    """
    model = MODELS[name]
    captured = capture_model(model.proto)
    for level in (None, 0, 1):
        if level is not None:
            pipeline.run(captured.program, level, verify_each=True)
        graph = captured.program.forward
        text = print_graph(graph)
        again = parse_graph(text, constants_of(graph))
        for each in (again, clone(again)):
            verify(each)
            assert print_graph(each) == text
        arrays = model.arrays(0)
        result = interpret(again, list(arrays.values()), captured.tensors)
        alike(result, expected(model.proto, arrays))


# ---- C++: all models in one program


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if find_compiler() is None or find_mlx() is None:
        pytest.skip("needs a C++ compiler and the headers of the mlx package")
    folder = tmp_path_factory.mktemp("everything")
    captured = capture_model(joined(MODELS))
    pipeline.run(captured.program, 1)
    emitted = emit(captured.program, "everything")
    write_cpp(folder, captured.program.forward, emitted, "everything")
    rules = make_rules(emitted.parameters, set(captured.tensors), {})
    weights = folder / "weights.safetensors"
    write_weights(weights, emitted.parameters, captured.tensors, rules, config=emitted.config)
    made = build(folder / "cpp", build_type="Debug", options={"CMAKE_CXX_FLAGS_DEBUG": "-O0"})
    assert made.program is not None
    assert made.warnings == ""
    return made.program, weights


@pytest.mark.parametrize("run", [0, 1, 2])
def test_emitted_cpp(program: tuple[Path, Path], run: int) -> None:
    parts = {name: model.arrays(run) for name, model in MODELS.items()}
    inputs = {f"{name}_{k}": v for name, arrays in parts.items() for k, v in arrays.items()}
    outputs, _ = run_program(*program, [inputs])
    wanted = [w for name, arrays in parts.items() for w in expected(MODELS[name].proto, arrays)]
    alike([outputs[0][f"output.{i}"] for i in range(len(wanted))], wanted)


# ---- the text that comes out


def emitted_call(name: str) -> str:
    """The statements of the model's method behind the checks of its inputs."""
    captured = capture_model(MODELS[name].proto)
    pipeline.run(captured.program, 1)
    source = emit(captured.program, name).source
    classes = [c for c in ast.parse(source).body if isinstance(c, ast.ClassDef)]
    method = next(m for m in classes[-1].body if getattr(m, "name", "") == "__call__")
    assert isinstance(method, ast.FunctionDef)
    first = next(
        s for s in method.body if not re.search(r"^.* = .*\.shape|^check_", ast.unparse(s))
    )
    lines = source.splitlines()[first.lineno - 1 : method.end_lineno]
    return "".join(f"{line[8:]}\n" for line in lines)


TEXTS = {
    "if_two_shapes": """\
if (mx.sum(x) > 0.0).item():  # waits for the device
    h = x[:2]
else:
    h = mx.concatenate([x, x], axis=0)
N1 = h.shape[0]
return mx.exp(h.reshape(3 * N1, 1))
""",
    "for_rows": """\
N1 = read_size(mx.maximum(n, 0))  # waits for the device
h = x
rows_list = []
for i in range(N1):
    h = h * 0.5 + i
    rows_list.append(h - x)
rows = stack_rows(rows_list, (B, 3), mx.float32)
return (h, rows)
""",
    "greedy_decoding": """\
N1 = read_size(mx.maximum(n, 0))  # waits for the device
last = mx.full((1,), -1, dtype=mx.int64)
for _ in range(N1):
    best = mx.argmax(table[ids[last]], axis=-1).astype(mx.int64)
    going = mx.logical_not(best == 3).squeeze(-1)
    ids = mx.concatenate([ids, best], axis=-1)
    if not going.item():  # waits for the device
        break
return ids
""",
    "while_maybe_never": """\
going = mx.max(x) > limit
h = x
while going.item():  # waits for the device
    h = h * 0.5
    going = mx.max(h) > limit
return h
""",
}


@pytest.mark.parametrize("name", TEXTS)
def test_reads_like_this(name: str) -> None:
    assert emitted_call(name) == TEXTS[name]


# ---- what is refused


def changed(name: str, old: str, new: str) -> Graph:
    """The graph of the model with its text changed."""
    captured = capture_model(MODELS[name].proto)
    text = print_graph(captured.program.forward)
    assert old in text
    return parse_graph(text.replace(old, new), constants_of(captured.program.forward))


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("if_two_shapes", "sizes=('N1',)", "sizes=()", "has no name"),
        ("if_two_shapes", "sizes=('N1',)", "sizes=('N1', 'N2')", "no result has the size N2"),
        ("if_two_results", "return (exp, x__3)", "return (exp,)", "different numbers of results"),
        ("for_rows", "trips=N1", "trips=None", "a loop without end"),
        ("scan_free_length", "state=1", "state=0", "has the type"),
        ("scan_free_length", "f32[3], x__2: f32[L, 3]", "f32[3], x__2: f32[3, 3]", "a block reads"),
        ("for_rows", "maximum(n, 0)", "maximum(n, N1)", "the size N1 is not known there"),
        ("while", "conditional=True", "conditional=False", "a loop without end"),
    ],
)
def test_verifier_refuses(name: str, old: str, new: str, message: str) -> None:
    with pytest.raises(VerifyError, match=message):
        verify(changed(name, old, new))


def test_a_size_stays_behind_what_finds_it_out() -> None:
    graph = capture_model(MODELS["only_the_count"].proto).program.forward
    found = next(n for n in graph.nodes if n.op == "nonzero")
    graph.nodes.remove(found)
    graph.nodes.append(found)
    with pytest.raises(VerifyError, match="the size N1 is not known there"):
        verify(graph)


def test_a_size_that_is_read_keeps_what_finds_it_out() -> None:
    captured = capture_model(MODELS["only_the_count"].proto)
    pipeline.run(captured.program, 1)
    assert "nonzero" in [n.op for n in captured.program.forward.nodes]


# ---- sizes from data across modules

HEAD = '@graph("Net", N1=(0, None), i=(0, None))\ndef forward(x: f32[B, 4]):\n'
PICK = """\
    with module("pick", "Pick"):
        s: f32[B] = sum(x, axes=(1,))
        m: bool[B] = greater(s, 0.0)
        p: i64[1, N1] = nonzero(m, size='N1')
        q: i64[N1] = select(p, axis=0, index=0)
        t: f32[N1, 4] = take(x, q, axis=0)
"""
FILL = """\
    with module("fill", "Fill"):
        a: f32[N1] = full(shape=(N1,), value=1.0, dtype=f32)
        b: f32[N1] = tanh(a)
        c: f32[N1] = exp(b)
        d: f32[N1] = add(c, N1)
"""
TOTAL = '    with module("pick", "Pick"):\n        z: f32[4] = sum(t, axes=(0,))\n'
TURNS = """\
    def body(h: f32[N1, 4], k: f32[N1, 4]):
        g: f32[N1, 4] = multiply(h, 0.3)
        o: f32[N1, 4] = full(shape=(N1, 4), value=1.0, dtype=f32)
        r: f32[N1, 4] = add(g, o)
        v: f32[N1, 4] = add(r, k)
        return (v,)
    l, = loop(None, t, t, body=body, trips=N1, state=1, types=[f32[N1, 4]])
"""
MODULES = {
    # the size of what a module returns, passed to another one
    "returned": (HEAD + PICK + FILL + "    return t, d\n", ["Pick", "Fill", "Model"]),
    # nothing that leaves the module has it: the module is written in its caller
    "lost": (HEAD + PICK + TOTAL + FILL + "    return z, d\n", ["Fill", "Model"]),
    "turns": (HEAD + PICK + TURNS + "    return l\n", ["Pick", "Model"]),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules_hand_sizes_on(name: str) -> None:
    text, classes = MODULES[name]
    graph = parse_graph(text)
    verify(graph)
    emitted = emit(Program({"forward": graph}), "Net")
    assert emitted.classes == classes
    module = load(emitted.source)
    model = module.Model(*([module.ModelArgs(**emitted.config)] if emitted.config else []))
    for seed in range(3):
        x = np.random.default_rng(seed).standard_normal((5, 4)).astype(np.float32)
        alike(model(to_mlx(x)), list(leaves(interpret(graph, [x], {}))))
