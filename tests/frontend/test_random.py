"""Random numbers in torch models: drawn in the source's order, compared with what the source drew."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from captures import save  # noqa: E402
from export_cases import exported, saved  # noqa: E402
from torch import nn  # noqa: E402

from mlx_transpile import TranspileError, transpile  # noqa: E402
from mlx_transpile.cases import run_case  # noqa: E402
from mlx_transpile.emitted_model import EmittedModel  # noqa: E402
from mlx_transpile.frontend import capture  # noqa: E402
from mlx_transpile.frontend.draws import recorded  # noqa: E402
from mlx_transpile.frontend.inputs import parse_inputs  # noqa: E402
from mlx_transpile.ir import TABLE  # noqa: E402
from mlx_transpile.manifest import drawing_notes  # noqa: E402
from mlx_transpile.replay import _FUNCTIONS, ReplayError, replayed  # noqa: E402
from mlx_transpile.validate import UNSEEN  # noqa: E402

ROUTES = ("pt", "pt2", "module")


class Block(nn.Module):
    """A layer that draws twice."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(8, 8)

    def forward(self, x: Any) -> Any:
        noise = torch.randn_like(x)
        gate = torch.rand(x.shape[0], 1, 1)
        return x + self.lin(x + 0.1 * noise) * gate


class Noisy(nn.Module):
    """Layers that draw, draws of every kind, in place and through views, and one for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block() for _ in range(3)])

    def forward(self, x: Any) -> Any:
        torch.randn(3)
        a = torch.randn(x.shape) - torch.randn(x.shape)
        for block in self.blocks:
            x = block(x)
        c = torch.rand(x.shape[0], x.shape[1])
        c[:, 0] = 0
        c[:, 1:].normal_(0.5, 2.0)
        y = torch.normal(x, 2.0) + torch.normal(0.0, 0.1, (x.shape[1], 8))
        e = torch.bernoulli(torch.sigmoid(x)) + torch.randint(0, 5, (8,))
        waits = torch.empty_like(x).exponential_(0.5)
        return x + a + y + e + c[:, :, None] + waits, 2 * x


def source(module: nn.Module, x: Any, route: str, folder: Path) -> tuple[Any, dict[str, Any]]:
    """The model as `transpile` takes it, and the options for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if route == "pt":
            return save(module, folder / "model.pt", (x,)), {}
        if route == "pt2":
            return saved(folder / "model.pt2", exported(module, (x,))), {}
    return module, {"example_inputs": (x,)}


def method(code: str, cls: str) -> str:
    return re.split(r"\nclass |\ndef ", code.partition(f"class {cls}(")[2])[0]


@pytest.mark.parametrize("route", ROUTES)
def test_model_that_draws(route: str, tmp_path: Path) -> None:
    given, options = source(Noisy().eval(), torch.randn(2, 5, 8), route, tmp_path)
    done = transpile(given, tmp_path / "out", validate=True, verify_each=True, **options)
    assert done.report is not None and done.report.ok
    assert done.report.ran("B") and done.report.ran("L")
    assert all(not c.first_divergence for c in done.report.cases)
    code = (tmp_path / "out" / "model.py").read_text()
    assert "for block in self.blocks:" in code
    block = method(code, "Block")
    assert block.index("mx.random.normal((B, L,") < block.index("mx.random.uniform(shape=(B, 1, 1)")
    assert "mx.random.normal((3,))" not in code  # what nothing reads is not drawn
    assert "mx.random.seed" in code.split('"""')[1]


def test_same_seed_gives_the_same_numbers(tmp_path: Path) -> None:
    transpile(Noisy().eval(), tmp_path / "out", example_inputs=(torch.randn(2, 5, 8),))
    model, x = EmittedModel(tmp_path / "out"), [np.ones((2, 5, 8), np.float32)]
    first, again, other = (model.run_seeded(x, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.allclose(first, other)


def test_reference_files_hold_what_was_drawn(tmp_path: Path) -> None:
    """test_model.py gives the model the draws of the source, and needs nothing else."""
    transpile(Noisy().eval(), tmp_path / "out", example_inputs=(torch.randn(2, 5, 8),))
    scope: dict[str, Any] = {"__name__": "check", "__file__": str(tmp_path / "out/test_model.py")}
    code = (tmp_path / "out" / "test_model.py").read_text()
    exec(compile(code, scope["__file__"], "exec"), scope)
    assert max(error for _, error in scope["run_cases"]()) < 1e-4
    swapped = (tmp_path / "out" / "model.py").read_text()
    other = swapped.replace("- mx.random.normal", "+ mx.random.normal")
    assert other != swapped
    (tmp_path / "out" / "model.py").write_text(other)
    with pytest.raises(AssertionError, match="differs"):
        list(scope["run_cases"]())


class Two(nn.Module):
    def forward(self, x: Any) -> Any:
        a = torch.rand(4)
        b = torch.randn(4)
        return x * a + b


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("mx.random.normal((4,))", "mx.random.normal((1,))", "draw 2 is mlx.core.float32\\[1\\]"),
        ("mx.random.normal((4,))", "mx.zeros((4,))", "leaves 1 of the 2 draws"),
        (
            "mx.random.normal((4,))",
            "mx.random.bernoulli(mx.random.normal((4,)))",
            "more than the 2",
        ),
        ("mx.random.normal((4,))", "mx.random.randint(0, 3, (4,))", None),
        ("mx.random.uniform(shape=(4,))", "(1.0 - mx.random.uniform(shape=(4,)))", None),
    ],
)
def test_other_draws_are_a_failure(old: str, new: str, why: str | None, tmp_path: Path) -> None:
    """Another shape, another count; and other numbers."""
    captured = capture(Two().eval(), example_inputs=(torch.randn(4),))
    transpile(Two().eval(), tmp_path / "out", example_inputs=(torch.randn(4),))
    path, old = tmp_path / "out" / "model.py", old.replace("(4,)", "(self.input_size,)")
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    x = [np.ones(4, np.float32)]
    case = run_case(captured, {}, x)
    model = EmittedModel(tmp_path / "out")
    if why is not None:
        with pytest.raises(ReplayError, match=why):
            model.run_recorded(x, case.draws)
        return
    found, _ = model.run_recorded(x, case.draws)
    assert not np.allclose(found, case.result)


def test_every_function_that_draws_can_be_given_draws(root: Path) -> None:
    """Of MLX, as rows print them: in the package, and in the test that stands in the output."""
    from op_inputs import LINES, node_of

    nodes = [node_of(line) for line in LINES if line.startswith("random_")]
    assert {n.op for n in nodes} == {name for name, row in TABLE.items() if row.random}
    printed = {f for n in nodes for f in re.findall(r"mx\.random\.(\w+)", repr(n.row.tree(n)))}
    assert printed == _FUNCTIONS.keys()
    template = (root / "templates" / "python" / "test_model.py.j2").read_text()
    assert printed == set(re.findall(r'^        "(\w+)": lambda', template, re.M))


def test_draws_of_another_kind_do_not_fit() -> None:
    import mlx.core as mx

    with pytest.raises(ReplayError, match="draw 1"), replayed([np.ones((2,), np.complex64)]):
        mx.random.normal((2,))


def test_source_that_draws_otherwise_than_its_graph() -> None:
    captured = capture(Two().eval(), example_inputs=(torch.randn(4),))
    run = captured.run_drawing
    assert run is not None
    captured.run_drawing = lambda inputs: (run(inputs)[0], run(inputs)[1][:1])
    with pytest.raises(TranspileError, match="draws random numbers 1 times, its graph 2 times"):
        run_case(captured, {}, [np.ones(4, np.float32)])


def test_runs_of_the_source_leave_the_generator_alone() -> None:
    captured = capture(Two().eval(), example_inputs=(torch.randn(4),))
    assert captured.run_drawing is not None
    torch.manual_seed(3)
    before = torch.get_rng_state()
    (first, drawn), (second, again) = (captured.run_drawing([np.ones(4, np.float32)]) for _ in "ab")
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(first, second) and len(drawn) == len(again) == 2
    assert all(np.array_equal(a, b) for a, b in zip(drawn, again))
    np.testing.assert_allclose(first, drawn[0] + drawn[1], rtol=1e-6)


def test_what_draws_is_seen_whatever_op_it_is() -> None:
    with recorded() as found:
        torch.nn.functional.dropout(torch.ones(3), 0.5, True)
        torch.nn.functional.scaled_dot_product_attention(*[torch.ones(1, 1, 2, 4)] * 3)
        torch.ones(3).geometric_(0.5)
    assert [a.shape for a in found] == [(3,), (3,)]


class Half(nn.Module):
    def forward(self, x: Any) -> Any:
        return x + torch.randn_like(x) * torch.rand(6, dtype=x.dtype)


class Quiet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(8, 8)

    def forward(self, x: Any) -> Any:
        h = self.lin(x)
        h = h + torch.randn_like(h) * torch.rand_like(h)
        return torch.normal(h, 0.5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_drawn_in_its_type(dtype: str, tmp_path: Path) -> None:
    x = torch.ones(4, 6, dtype=getattr(torch, dtype))
    done = transpile(Half().eval(), tmp_path / "out", example_inputs=(x,), validate=True)
    assert done.report is not None and done.report.ok
    code = (tmp_path / "out" / "model.py").read_text()
    assert f"dtype=mx.{dtype}" in code and "dtype=x.dtype" in code


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_noise_like_a_value_follows_the_type_of_the_weights(dtype: str, tmp_path: Path) -> None:
    """As in torch: `randn_like` does, a plain `randn` would lift what it is added to."""
    import mlx.core as mx

    x = torch.randn(2, 5, 8)
    options: dict[str, Any] = {"example_inputs": (x,), "dtype": dtype, "validate": True}
    done = transpile(Quiet().eval(), tmp_path / "out", **options)
    assert done.report is not None and done.report.ok
    model = EmittedModel(tmp_path / "out").model
    kind = getattr(mx, dtype)
    assert model(mx.ones((2, 5, 8), kind)).dtype == kind
    ran = [case for case in done.report.cases if case.source_itself]
    assert ran and all(d.max_rel < 0.1 for case in ran for _, d in case.source_itself)


class Scripted(nn.Module):
    """How often it draws, the data decides."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.randn_like(x)
        while bool(x.sum() < 40.0):
            x = x.abs() + torch.rand_like(x)
        if bool(x.mean() > 2.0):
            x = x + torch.randn(x.shape[1])
        return x * y


def test_draws_in_loops_and_branches(tmp_path: Path) -> None:
    path = save(torch.jit.script(Scripted().eval()), tmp_path / "model.pt")
    given = {"inputs": ["x=B,4:float32"]}
    done = transpile(path, tmp_path / "out", validate=True, verify_each=True, **given)
    assert done.report is not None and done.report.ok
    assert all(d.note != UNSEEN for c in done.report.cases for _, d in c.outputs)
    code = (tmp_path / "out" / "model.py").read_text()
    turn = code.partition("while going.item():")[2]
    assert re.search(r"noise = mx.random.uniform.*\n +x = mx.abs\(x\) \+ noise", turn)


def test_lost_draws_among_repeated_ones_cannot_be_told(tmp_path: Path) -> None:
    """Which of the source's draws are left is then unknown: compared by shape alone, and told."""
    path = save(torch.jit.script(Scripted().eval()), tmp_path / "model.pt")
    captured = capture(path, inputs=parse_inputs(["x=B,4:float32"]))
    x = [np.ones((2, 4), np.float32)]
    assert captured.drawn == 3 and run_case(captured, {}, x).draws
    captured.drawn = 4  # as if a pass had dropped one
    assert run_case(captured, {}, x).draws is None
    assert any("by shape" in note for note in drawing_notes(captured))


def test_training_dropout_is_refused(tmp_path: Path) -> None:
    class Dropping(nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.nn.functional.dropout(x, 0.5, True)

    with pytest.raises(TranspileError, match="dropout"):
        capture(save(Dropping(), tmp_path / "model.pt", (torch.ones(3),)))


def test_distribution_without_a_counterpart(tmp_path: Path) -> None:
    class Permuted(nn.Module):
        def forward(self, x: Any) -> Any:
            return x[torch.randperm(4)]

    with pytest.raises(TranspileError, match="of this distribution") as error:
        capture(save(Permuted(), tmp_path / "model.pt", (torch.ones(4),)))
    assert "normal, uniform" in str(error.value.hint)


def test_the_manifest_lists_the_draws(tmp_path: Path) -> None:
    import json

    transpile(Noisy().eval(), tmp_path / "out", example_inputs=(torch.randn(2, 5, 8),))
    found = json.loads((tmp_path / "out" / "manifest.json").read_text())["random"]
    numbers = [row["draw"] for row in found["draws"]]
    assert numbers == sorted(numbers) and numbers[0] == 1  # the first draw is for nothing
    assert found["draws"][2] | {"source": None} == {
        "draw": 3, "op": "random_normal", "module": "blocks.0", "source": None,
    }  # fmt: skip
    assert any("mx.random.seed" in note for note in found["notes"])
