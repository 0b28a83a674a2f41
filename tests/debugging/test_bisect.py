"""A planted bug is found by pass and by replacement, each time in one command."""

import pytest
from planted import MASKED, layers, wrong_corner, wrong_eps, wrong_side

from mlx_transpile import opt
from mlx_transpile.bisect import bisect
from mlx_transpile.ir.text import parse_graph
from mlx_transpile.numbers import numbers, random_tensors
from mlx_transpile.passes.pipeline import choose

PLANTED = [
    (wrong_eps, layers(3), "raise_rms_norm", "rms_norm (replacement 1 of", "layers.0.norm (m.py:2)"),
    (wrong_side, layers(3), "raise_linear", "linear (replacement 1 of 3)", "layers.0 (m.py:8)"),
    (wrong_corner, MASKED, "prove_masks", "causal_mask (replacement 1 of", "attention (m.py:31)"),
]  # fmt: skip


@pytest.mark.parametrize(("plant", "text", "name", "rewrite", "where"), PLANTED)
def test_a_planted_bug_is_found(plant, text, name, rewrite, where, monkeypatch, tmp_path, capsys):
    file = tmp_path / "model.ir"
    file.write_text(text)
    assert opt.main(["bisect", str(file)]) == 0
    assert capsys.readouterr().out.startswith("no pass moves the numbers: ")
    plant(monkeypatch)
    assert opt.main(["bisect", str(file)]) == 1
    out = capsys.readouterr().out
    assert f"pass: {name} (number " in out
    assert f"rewrite: {rewrite}" in out
    assert f" in {where}" in out
    assert "max error" in out


def test_the_replacement_in_the_middle_is_found():
    """Only the second layer's norm is wrong: it is named, and the graphs differ by it alone."""
    from mlx_transpile.passes import raise_rms_norm
    from mlx_transpile.passes.rewrite import rewrite
    from mlx_transpile.passes.table import Pass

    def spoiled(graph):
        changed = rewrite(graph, raise_rms_norm.ROWS)
        for node in graph.nodes:
            if node.op == "rms_norm" and node.scope.path == "layers.1.norm":
                node.attrs["eps"] = 1e-3
        return changed

    graph = parse_graph(layers(4))
    right = numbers(graph, random_tensors(graph))
    passes = [p for _, p in choose(passes=["cleanup"])]
    found = bisect(graph, right, [*passes, Pass("spoiled", spoiled, 1, "wrong in one layer")])
    assert found is not None and found.application is not None
    assert found.pass_.name == "spoiled"
    assert found.application.scope == "layers.1.norm"
    wrong = [n for n in found.after.nodes if n.attrs.get("eps") == 1e-3]
    assert len(wrong) == 1 and not any(n.attrs.get("eps") == 1e-3 for n in found.before.nodes)


def test_a_pass_that_fails_is_found(monkeypatch, tmp_path, capsys):
    from dataclasses import replace

    from mlx_transpile.passes import raise_rms_norm

    def build(out, match, like):
        if like.scope.path == "layers.2.norm":
            raise ZeroDivisionError("planted")
        return right(out, match, like)

    right = next(r.build for r in raise_rms_norm.ROWS if r.name == "rms_norm")
    rows = [replace(r, build=build) if r.name == "rms_norm" else r for r in raise_rms_norm.ROWS]
    monkeypatch.setattr(raise_rms_norm, "ROWS", rows)
    file = tmp_path / "model.ir"
    file.write_text(layers(3))
    assert opt.main(["bisect", str(file)]) == 1
    out = capsys.readouterr().out
    assert "fails with ZeroDivisionError: planted" in out
    assert "which fails" in out


def test_saved_graphs_are_run_again(monkeypatch, tmp_path, capsys):
    wrong_eps(monkeypatch)
    file = tmp_path / "model.ir"
    file.write_text(layers(2))
    opt.main(["bisect", str(file), "--save", str(tmp_path / "found")])
    capsys.readouterr()
    assert opt.main([str(tmp_path / "found" / "before.ir")]) == 1
    assert "the pass raise_rms_norm failed: NumbersMoved" in capsys.readouterr().err
    files = [str(tmp_path / "found" / name) for name in ("before.ir", "after.ir")]
    assert opt.main(["diff", *files]) == 1
    assert "+ n0: f32[B, L, 8] = rms_norm(h0, None)  by rms_norm" in capsys.readouterr().out


def test_given_data_and_a_wide_tolerance(monkeypatch, tmp_path, capsys):
    import numpy as np
    from safetensors.numpy import save_file

    wrong_eps(monkeypatch)
    file, data = tmp_path / "model.ir", tmp_path / "data.safetensors"
    file.write_text(layers(2))
    save_file({"ids": np.arange(6).reshape(2, 3)}, data)
    assert opt.main(["bisect", str(file), "--data", str(data), "--rtol", "9", "--atol", "9"]) == 0
    assert str(data) in capsys.readouterr().out


def test_a_captured_model(monkeypatch, tmp_path, capsys):
    torch = pytest.importorskip("torch")
    from models import MODELS

    case = MODELS["llama_decoder"]()
    path = tmp_path / "llama.pt"
    with torch.no_grad():
        torch.jit.save(torch.jit.trace(case.module, case.inputs, strict=False), str(path))
    wrong_eps(monkeypatch)
    assert opt.main(["bisect", str(path)]) == 1
    out = capsys.readouterr().out
    assert "pass: raise_rms_norm" in out and "rewrite: rms_norm (replacement" in out
