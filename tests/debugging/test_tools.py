"""Numbers after each pass, reproducers, reduce, diff, dumps, the table of fusions, exit statuses."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from planted import layers, wrong_eps, wrong_side

from mlx_transpile import opt
from mlx_transpile.explain import explain, summary
from mlx_transpile.ir.clone import clone
from mlx_transpile.ir.interpret import interpret
from mlx_transpile.ir.text import parse_graph, print_graph
from mlx_transpile.ir_diff import diff, print_diff
from mlx_transpile.ir_files import read_ir, write_ir_file
from mlx_transpile.numbers import NumbersMoved, numbers, random_tensors
from mlx_transpile.passes import pipeline
from mlx_transpile.passes.pipeline import PassError, run
from mlx_transpile.passes.table import Pass
from mlx_transpile.reduce import reduce


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.ir"
    path.write_text(layers(3))
    return path


def moves(graph) -> bool:
    """Whether raise_rms_norm moves the numbers of the graph."""
    try:
        run(graph, passes=["raise_rms_norm"], check=numbers(graph, random_tensors(graph)).check)
    except PassError as error:
        return isinstance(error.__cause__, NumbersMoved)
    return False


# ---- numbers after every pass


def test_verify_each_names_the_pass(monkeypatch, file, capsys):
    assert opt.main([str(file), "-O1", "--verify-each", "-o", f"{file}.out"]) == 0
    wrong_eps(monkeypatch)
    assert opt.main([str(file), "-O1", "--verify-each"]) == 1
    err = capsys.readouterr().err
    assert "the pass raise_rms_norm failed: NumbersMoved: the numbers moved: max error" in err
    assert "transpile-opt /" in err


def test_verify_each_of_the_transpiler(monkeypatch, tmp_path):
    torch = pytest.importorskip("torch")
    from mlx_transpile import transpile
    from mlx_transpile.errors import TranspileError
    from models import MODELS

    case = MODELS["llama_decoder"]()
    path = tmp_path / "llama.pt"
    with torch.no_grad():
        torch.jit.save(torch.jit.trace(case.module, case.inputs, strict=False), str(path))
    assert transpile(path, None, check=True, verify_each=True).plan
    wrong_eps(monkeypatch)
    with pytest.raises(TranspileError, match="the pass raise_rms_norm failed: NumbersMoved"):
        transpile(path, None, check=True, verify_each=True)


def test_numbers_are_taken_at_two_sizes_of_every_symbol():
    graph = parse_graph(layers(1))
    found = numbers(graph, random_tensors(graph))
    shapes = [s.inputs[0].shape for s in found.sets]
    assert len(shapes) == 2
    assert shapes[0][0] != shapes[1][0] and shapes[0][1] != shapes[1][1]


def test_double_precision_shows_what_float32_hides():
    text = "@graph('N')\ndef forward(x: f32[B]):\n    y: f32[B] = add(x, 1e-09)\n    return y\n"
    graph, x = parse_graph(text), [np.ones(3, np.float32)]
    assert (interpret(graph, x, {}) == 1).all()
    assert (interpret(graph, x, {}, wide=True) > 1).all()


def test_a_clone_is_equal_and_apart():
    graph = parse_graph(layers(2))
    copy = clone(graph)
    assert print_graph(copy) == print_graph(graph)
    run(copy)
    assert print_graph(graph) == print_graph(parse_graph(layers(2)))


# ---- reproducers


def reproducer(capsys) -> Path:
    line = next(x for x in capsys.readouterr().err.splitlines() if "is in " in x)
    return Path(line.rsplit(" ", 1)[-1])


def test_a_reproducer_fails_as_the_pipeline_did(monkeypatch, file, capsys):
    wrong_side(monkeypatch)
    assert opt.main([str(file), "-O1", "--verify-each"]) == 1
    made = reproducer(capsys)
    facts = json.loads(made.read_text().splitlines()[0].partition(": ")[2])
    assert facts["passes"][0] == "raise_linear" and facts["passes"][-1] == "find_modules"
    assert facts["verify_each"] is True
    assert opt.main([str(made)]) == 1
    assert "the pass raise_linear failed: NumbersMoved" in capsys.readouterr().err
    monkeypatch.undo()
    assert opt.main([str(made), "-o", str(made) + ".out"]) == 0


def test_a_reproducer_has_its_constants(monkeypatch, tmp_path, capsys):
    def spoil(graph):
        raise RuntimeError("planted")

    data = np.linspace(0, 1, 4, dtype=np.float32)
    text = (
        "@graph('N')\ndef forward(x: f32[B, 4]):\n"
        "    y: f32[B, 4] = multiply(x, param('c', f32[4], recipe=constant('c'), buffer=True))\n"
        "    return y\n"
    )
    write_ir_file(tmp_path / "n.ir", parse_graph(text, {"c": data}))
    monkeypatch.setattr(pipeline, "PASSES", [Pass("spoil", spoil, 0, "fails")])
    assert opt.main([str(tmp_path / "n.ir"), "-O0"]) == 1
    made = reproducer(capsys)
    constant = read_ir(made).graph.params["c"].recipe
    assert (constant.data == data).all()
    made.with_suffix(".constants.safetensors").unlink()
    assert opt.main([str(made)]) == 2
    assert "the data of 1 of its constants is missing" in capsys.readouterr().err


# ---- reduce


def test_reduce_leaves_what_fails(monkeypatch):
    wrong_eps(monkeypatch)
    graph = parse_graph(layers(3))
    small = reduce(graph, lambda g: moves(clone(g)))
    assert len(graph.nodes) == 31
    assert [n.op for n in small.nodes] == ["square", "mean", "add", "rsqrt", "multiply"]
    assert print_graph(parse_graph(print_graph(small))) == print_graph(small)
    assert print_graph(graph) == print_graph(parse_graph(layers(3)))


def test_reduce_a_captured_model(monkeypatch, tmp_path):
    torch = pytest.importorskip("torch")
    from mlx_transpile.frontend import capture
    from models import MODELS

    case = MODELS["llama_decoder"]()
    path = tmp_path / "llama.pt"
    with torch.no_grad():
        torch.jit.save(torch.jit.trace(case.module, case.inputs, strict=False), str(path))
    graph = capture(str(path)).program.forward
    wrong_eps(monkeypatch)
    small = reduce(graph, lambda g: moves(clone(g)))
    assert len(graph.nodes) > 60 and len(small.nodes) < 10
    assert print_graph(parse_graph(print_graph(small))) == print_graph(small)


CHECK = """
import sys
from mlx_transpile.ir_files import read_ir
ops = [n.op for n in read_ir(sys.argv[1]).graph.nodes]
print("found" if ops.count("silu") >= 2 else "nothing")
sys.exit(3 if ops.count("silu") >= 2 else 1)
"""


def test_reduce_as_a_command(file, tmp_path, capsys):
    check = tmp_path / "check.py"
    check.write_text(CHECK)
    command = f"{sys.executable} {check} {{}}"
    assert opt.main(["reduce", str(file), "--check", command, "--message", "found"]) == 0
    small = file.with_suffix(".reduced.ir")
    assert capsys.readouterr().out.startswith("31 nodes, now ")
    ops = [n.op for n in read_ir(small).graph.nodes]
    assert ops.count("silu") == 2 and len(ops) < 5
    assert opt.main(["reduce", str(file), "--check", "true"]) == 2
    assert "the check does not fail" in capsys.readouterr().err


# ---- diff


def test_diff_names_what_changed():
    old = parse_graph(layers(2))
    assert not diff(old, clone(old))
    new = clone(old)
    run(new, passes=["raise_rms_norm"])
    found = diff(old, new)
    gone = [c.old.op for c in found.changes if c.new is None]
    assert gone.count("rsqrt") == 2 and "silu" not in gone
    lines = list(print_diff(found))
    assert "layers.1.norm (m.py:3)" in lines
    assert "  + w1: f32[B, L, 8] = rms_norm(h1, layers.1.norm.weight, eps=1e-06)  by rms_norm_weight" in lines  # fmt: skip
    assert not any("silu" in line for line in lines)


def test_diff_of_attributes_parameters_and_results():
    def text(eps, weight, result):
        return (
            f"@graph('N')\ndef forward(x: f32[B, 4]):\n"
            f"    y: f32[B, 4] = rms_norm(x, param('w', f32[4], recipe={weight}), eps={eps})\n"
            f"    z: f32[B, 4] = exp(y)\n    return {result}\n"
        )

    old = parse_graph(text("1e-06", "read('w')", "(y, z)"))
    new = parse_graph(text("1e-05", "cast(read('w'), f32)", "(y, x)"))
    assert list(print_diff(diff(old, new))) == [
        "the root",
        "  ~ y: f32[B, 4] = rms_norm(x, w)",
        "      eps=1e-06, now 1e-05",
        "the parameter w: f32[4] read('w'), now f32[4] cast(read('w'), f32)",
        "result 1: z, now x",
    ]


# ---- the log


def test_explain_counts_by_place_and_reason():
    text = layers(3).replace("return {'out': h3}", "return {'out': h3, 'm': m1}")
    runs = run(parse_graph(text))
    rows = [r for r in explain(runs) if r.rule == "rms_norm"]
    assert [(r.count, r.reason, r.scope) for r in rows] == [
        (2, "", "layers.*.norm"),
        (1, "the result of mean is used elsewhere", "layers.*.norm"),
    ]
    assert "rms_norm: applied 2, refused 1: the result of mean is used elsewhere (1)" in summary(
        explain(runs)
    )


def test_explain_fusions_prints_a_table(file, capsys):
    assert opt.main([str(file), "-O1", "--explain-fusions"]) == 0
    out = capsys.readouterr().out
    assert "multiply in layers.*.norm" in out and "m.py:2" in out and "applied" in out
    assert "rms_norm: applied 3" in out.splitlines()


# ---- dumps and requests


def test_dumps_have_an_index(file, tmp_path):
    assert opt.main([str(file), "-O1", "--dump-ir", str(tmp_path / "ir")]) == 0
    lines = (tmp_path / "ir" / "index.txt").read_text().splitlines()
    assert lines[0].split()[:4] == ["file", "level", "nodes", "params"]
    row = next(line for line in lines if "raise_rms_norm" in line)
    assert row.split()[1] == "-O1" and (tmp_path / "ir" / row.split()[0]).exists()
    assert any("fold_constants: no change" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["{}"], 2, "no passes are given"),
        (["{}", "--passes", "nonsense"], 2, "no pass is called nonsense"),
        (["{}", "--passes", "cse", "-O1"], 2, "exclude each other"),
        (["gone.ir", "--passes", "cse"], 2, "cannot be read: No such file"),
        ([__file__, "--passes", "cse"], 2, "not a graph"),
        (["bisect", "{}", "--rtol", "-1"], 2, "is no tolerance"),
        (["bisect", "{}", "--sets", "0"], 2, "0 sets of inputs"),
        (["diff", "{}", "{}"], 0, ""),
        (["{}", "--passes", "cse", "--print-after", "cse"], 0, ""),
    ],
)
def test_statuses(arguments, status, message, file, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert opt.main([a.format(file) for a in arguments]) == status
    err = capsys.readouterr().err
    assert message in err
    assert err.startswith("transpile-opt: ") if message else err == ""
    assert "Traceback" not in err


def test_list_passes(capsys):
    assert opt.main(["--list-passes"]) == 0
    assert "-O1  raise_rms_norm" in capsys.readouterr().out
