"""C++ and Python of a model that draws random numbers: one seed, the same numbers, in every thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from mlx_transpile import cpp_build, transpile  # noqa: E402
from mlx_transpile.compare import Tolerance  # noqa: E402
from mlx_transpile.emitted_model import EmittedModel  # noqa: E402
from mlx_transpile.errors import TranspileError  # noqa: E402
from mlx_transpile.frontend import capture  # noqa: E402
from mlx_transpile.ir import DType  # noqa: E402
from mlx_transpile.ir.draws import draws  # noqa: E402
from mlx_transpile.passes import pipeline  # noqa: E402
from mlx_transpile.report_cpp import cpp_markdown, cpp_verdict  # noqa: E402
from mlx_transpile.validate import CaseRun, validate  # noqa: E402
from mlx_transpile.validate_cpp import CppBuild, validate_cpp  # noqa: E402

needs_compiler = pytest.mark.skipif(
    cpp_build.find_compiler() is None or cpp_build.find_mlx() is None,
    reason="needs a C++ compiler and the headers of the mlx package",
)


class Noisy(nn.Module):
    """Every kind of draw, two of them in one expression of the source, and layers that draw."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(2)])

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x) * torch.rand_like(x) - torch.randn_like(x)
        y = x + torch.empty_like(x).uniform_(-3.3, 1.7) + torch.normal(0.3, 2.2, (4,))
        half = torch.randn(x.shape[0], 4, dtype=torch.float16).float()
        y = y + half + torch.bernoulli(torch.sigmoid(x)) + torch.empty(4).bernoulli_(0.25)
        chosen = torch.multinomial(torch.softmax(x, -1), 3, True)
        return y + torch.randint(-3, 900, (4,)), chosen, torch.randn(()) + torch.rand(())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("noisy") / "out"
    example = (torch.randn(2, 4),)
    transpile(Noisy().eval(), out, example_inputs=example, emit=("python", "cpp"))
    return out


@pytest.fixture(scope="module")
def program(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    build_dir = tmp_path_factory.mktemp("build")
    built = cpp_build.build(folder / "cpp", build_dir, build_type="Debug")
    assert built.program is not None and not built.warnings
    return built.program


def requests(sizes: tuple[int, ...] = (1, 5)) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(0)
    return [{"x": random.standard_normal((size, 4)).astype(np.float32)} for size in sizes]


@needs_compiler
@pytest.mark.parametrize("seed", [None, 0, 7, 2**31 - 1])
def test_one_seed_gives_one_result(folder: Path, program: Path, seed: int | None) -> None:
    model = EmittedModel(folder)
    found, _ = cpp_build.run_program(program, folder, requests(), seed=seed)
    for request, outputs in zip(requests(), found, strict=True):
        python = model.run_seeded([request["x"]], seed or 0)
        for i, array in enumerate(python):
            assert np.array_equal(outputs[f"output.{i}"], array), f"output {i} of seed {seed}"
    other, _ = cpp_build.run_program(program, folder, requests(), seed=3)
    assert not np.allclose(other[0]["output.0"], found[0]["output.0"])


@needs_compiler
def test_every_thread_draws_the_same_from_one_seed(folder: Path, program: Path) -> None:
    """The program compares all results with the first ones, bit by bit, and fails otherwise."""
    _, measured = cpp_build.run_program(
        program, folder, requests((1, 5, 9)), seed=5, repeat=5, threads=3, timeout=120
    )
    assert measured["calls"] == 45


@needs_compiler
def test_a_wrong_seed_is_told(folder: Path, program: Path) -> None:
    with pytest.raises(TranspileError, match="--seed takes a number from 0"):
        cpp_build.run_program(program, folder, requests(), seed=-1)


@needs_compiler
def test_validation_of_both(folder: Path, program: Path) -> None:
    """Python against the source by replayed draws, C++ against Python by a seed."""
    torch.manual_seed(0)
    runs: list[CaseRun] = []
    source = Noisy().eval()
    out = folder.parent / "again"
    captured = capture(source, example_inputs=(torch.randn(2, 4),))
    transpile(source, out, example_inputs=(torch.randn(2, 4),))
    pipeline.run(captured.program, 1)
    python = validate(captured, {}, out, Tolerance(1e-4, 1e-4), keep=runs.append)
    assert python.ok and len(runs) == 4 and all(run.source is None for run in runs)
    graph, made = captured.program.forward, CppBuild(program)
    assert [n["dtype"] for n in draws(graph) if "dtype" in n.attrs].count(DType.f16) == 1
    report = validate_cpp(
        made, graph, out / "weights.safetensors", runs, Tolerance(1e-4, 1e-4), "float32", False
    )
    assert report.ok and report.seeded and report.largest("python") == 0
    assert all(not case.against_source and case.against_python for case in report.cases)
    assert cpp_verdict(report)[0] == "The C++ agrees with the Python."
    assert "the source draws others" in "\n".join(cpp_markdown(report))


def test_models_that_draw_nothing_have_no_seed(tmp_path: Path) -> None:
    linear = nn.Linear(4, 4).eval()
    example = (torch.randn(2, 4),)
    transpile(linear, tmp_path / "out", example_inputs=example, emit=("python", "cpp"))
    main = (tmp_path / "out" / "cpp" / "main.cpp").read_text()
    readme = (tmp_path / "out" / "cpp" / "README.md").read_text()
    assert "seed" not in main + readme
