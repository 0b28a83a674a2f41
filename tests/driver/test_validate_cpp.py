"""The C++ of a run: built beside the output, compared with Python and source, timed, and told about."""

import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hand
import numpy as np
import pytest

import mlx_transpile.frontend
from mlx_transpile import Result, TranspileError, cpp_build, transpile, validate_cpp
from mlx_transpile.codegen import project
from mlx_transpile.compare import Tolerance
from mlx_transpile.report_cpp import benchmark_markdown, cpp_markdown
from mlx_transpile.validate import CaseRun
from mlx_transpile.validate_cpp import CppBuild, CppCase, CppReport

LLAMA = Path(__file__).parents[2] / "generated" / "sources" / "llama.pt"
BOTH = ("python", "cpp")

needs_compiler = pytest.mark.skipif(
    cpp_build.find_compiler() is None or cpp_build.find_mlx() is None,
    reason="needs a C++ compiler and the headers of the mlx package",
)


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    """Builds without optimization, and few timed calls."""
    with pytest.MonkeyPatch.context() as patch:
        quick_build = functools.partial(cpp_build.build, build_type="Debug")
        patch.setattr(validate_cpp, "build", quick_build)
        patch.setattr("mlx_transpile.benchmark.SECONDS", 0.0)
        yield


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """A run with C++ on the model made by hand."""

    def by_hand(**options: Any) -> Result:
        monkeypatch.setattr(mlx_transpile.frontend, "capture", lambda *a, **k: hand.captured())
        return transpile("by hand", tmp_path / "out", emit=BOTH, **options)

    return by_hand


def change_cpp(monkeypatch: pytest.MonkeyPatch, file: str, old: str, new: str) -> None:
    """From now on a file of out/cpp is written with another text in it."""
    write = project.write_cpp

    def changed(folder: Path, *args: Any) -> None:
        write(folder, *args)
        path = folder / "cpp" / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    monkeypatch.setattr(project, "write_cpp", changed)


def report_of(out: Path) -> tuple[dict[str, Any], str]:
    return json.loads((out / "report.json").read_text()), (out / "report.md").read_text()


# ---- whole runs


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Result:
    pytest.importorskip("torch")
    out = tmp_path_factory.mktemp("llama") / "out"
    return transpile(LLAMA, out, emit=BOTH, validate=True, benchmark=True)


@needs_compiler
def test_llama_agrees_with_python_and_source(llama: Result) -> None:
    assert llama.ok and llama.out
    data, text = report_of(llama.out)
    found = data["cpp"]
    assert (found["passed"], found["error"], found["not_built"]) == (True, None, None)
    assert found["compiler"] and found["build_seconds"] > 0 and found["warnings"] == []
    assert set(found["lines"]) == {"main.cpp", "model.cpp", "model.h", "nn.h"}
    assert [c["sizes"] for c in found["cases"]] == [c["sizes"] for c in data["cases"]]
    for case in found["cases"]:
        assert [d["name"] for d in case["against_python"]] == ["output"]
        assert max(d["max_rel"] for d in case["against_python"]) < 1e-5
        assert max(d["max_rel"] for d in case["against_source"]) < 1e-4
    assert "The C++ agrees with the Python and with the source." in text
    assert "no warnings" in text


@needs_compiler
def test_nothing_of_the_build_is_left(llama: Result) -> None:
    assert llama.out
    files = {"CMakeLists.txt", "README.md", "main.cpp", "model.cpp", "model.h", "nn.h"}
    assert {p.name for p in (llama.out / "cpp").iterdir()} == files
    assert [p.name for p in llama.out.parent.iterdir()] == ["out"]


@needs_compiler
def test_the_benchmark_has_three_rows(llama: Result) -> None:
    assert llama.out
    data, text = report_of(llama.out)
    found = data["benchmark"]
    assert list(found["rows"]) == ["source", "python", "cpp"]
    for row in found["rows"].values():
        assert 0 < row["median_ms"] <= row["p90_ms"]
        assert row["calls_per_second"] > 0 and row["runs"] == 5
    assert found["threads"] == 1
    assert found["inputs"] == [[1, 7]]  # captured at batch 2
    assert ("OpenBLAS was found" in text) is (found["blas"] is None)
    for title in ("source", "emitted Python", "emitted C++"):
        assert f"| {title} |" in text


@needs_compiler
def test_cpp_that_computes_something_else_fails(
    by_hand: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    change_cpp(monkeypatch, "model.cpp", "h + z", "h - z")
    result = by_hand(validate=True)
    assert not result.ok and result.report and result.report.python_ok and result.out
    data, text = report_of(result.out)
    assert data["passed"] is False and data["cpp"]["passed"] is False
    assert "The emitted model agrees with its source." in text
    assert "The C++ DIFFERS from the Python or from the source." in text
    assert "FAILED against Python; FAILED against the source" in text


@needs_compiler
def test_cpp_that_does_not_build_fails_in_the_compilers_words(
    by_hand: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    change_cpp(monkeypatch, "model.h", '#include "nn.h"', '#include "unheard_of.h"')
    result = by_hand(validate=True, benchmark=True)
    assert not result.ok and result.out
    data, text = report_of(result.out)
    assert "unheard_of.h" in data["cpp"]["error"]
    assert str(tmp_path) not in data["cpp"]["error"]
    assert "The C++ DOES NOT BUILD." in text
    assert "    cpp/model.h:" in text
    assert "| emitted C++ | | | | it does not build |" in text


def test_without_a_compiler_the_report_says_so(
    by_hand: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (cpp_build, validate_cpp):
        monkeypatch.setattr(module, "find_compiler", lambda: None)
    result = by_hand(validate=True, benchmark=True)
    assert result.ok and result.out
    assert (result.out / "cpp" / "model.cpp").exists()
    data, text = report_of(result.out)
    assert data["passed"] is True and data["cpp"]["passed"] is None
    assert "no C++ compiler" in data["cpp"]["not_built"]
    assert "The C++ was not built: no C++ compiler is there" in text
    assert "| emitted C++ | | | | no C++ compiler is there" in text


# ---- parts

ONE = np.array([1.0, -2.0], np.float32)
GRAPH = hand.graph(
    "@graph('Net')\ndef forward(x: f32[2]):\n    h: f32[2] = relu(x)\n    return h\n"
)


def checked(
    monkeypatch: pytest.MonkeyPatch,
    program: Callable[..., Any],
    count: int = 1,
    python: Any = ONE,
    quantized: bool = False,
) -> CppReport:
    """The report where the program gives what `program` does."""
    monkeypatch.setattr(validate_cpp, "run_program", program)
    runs = [CaseRun({"B": i}, [ONE], python, ONE) for i in range(count)]
    made, tolerance = CppBuild(program=Path("run")), Tolerance(1e-4, 1e-4)
    return validate_cpp.validate_cpp(made, GRAPH, Path("w"), runs, tolerance, "float32", quantized)


def giving(value: np.ndarray) -> Callable[..., Any]:
    return lambda program, weights, inputs, seed: ([{"output": value} for _ in inputs], {})


def test_the_bound_to_python_is_the_tighter_one(monkeypatch: pytest.MonkeyPatch) -> None:
    report = checked(monkeypatch, giving(ONE + np.float32(5e-5)))
    (python,), (source,) = report.cases[0].against_python, report.cases[0].against_source
    assert (python[1].ok, source[1].ok, report.ok) == (False, True, False)
    assert checked(monkeypatch, giving(ONE + np.float32(1e-5))).ok


def test_quantized_cpp_is_judged_by_the_python_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    report = checked(monkeypatch, giving(ONE * 2), python=ONE * 2, quantized=True)
    assert report.ok and not report.cases[0].against_source[0][1].ok
    assert "only told" in "\n".join(cpp_markdown(report))


def test_very_small_outputs_must_agree_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = ONE * np.float32(1e-8)
    assert checked(monkeypatch, giving(tiny), python=tiny).cases[0].against_python[0][1].ok
    report = checked(monkeypatch, giving(-tiny), python=tiny)
    assert not report.cases[0].against_python[0][1].ok


def test_where_the_program_fails_each_case_is_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = []

    def program(path: Path, weights: Path, inputs: list[Any], seed: int | None) -> Any:
        starts.append(len(inputs))
        if len(inputs) > 1 or len(starts) == 3:
            raise TranspileError("the C++ program failed: no | good")
        return [{"output": ONE}], {}

    report = checked(monkeypatch, program, count=3)
    assert starts == [3, 1, 1, 1]
    assert [bool(case.error) for case in report.cases] == [False, True, False]
    assert not report.ok
    assert "FAILED: the C++ program failed: no \\| good" in "\n".join(cpp_markdown(report))


def test_without_a_python_result_the_source_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    report = checked(monkeypatch, giving(ONE), python=None)
    assert report.ok and report.cases[0].against_python == []
    assert "|  |  | 0.00e+00 | 0.00e+00 | ok |" in "\n".join(cpp_markdown(report))


def test_warnings_are_counted_and_shown() -> None:
    built = CppBuild(Path("run"), "c++ 1", 2.0, ("cpp/model.cpp:1: warning: odd",), {"a.h": 3})
    text = "\n".join(cpp_markdown(CppReport(built, 1e-5, [CppCase({})])))
    assert "c++ 1: 2.0 s to build, 1 warning, 3 lines (a.h 3)." in text
    assert "- cpp/model.cpp:1: warning: odd" in text


def test_the_report_names_the_blas() -> None:
    row = {"median_ms": 1.0, "p90_ms": 2.0, "calls_per_second": 3.0, "runs": 4}
    found = {"inputs": [[1]], "threads": 1, "blas": "/lib/libopenblas.so.0", "rows": {"cpp": row}}
    text = "\n".join(benchmark_markdown(found))
    assert "One thread; Python and C++ with /lib/libopenblas.so.0 in place of" in text
    assert "| emitted C++ | 1.000 | 2.000 | 3.0 | 4 |" in text
    assert "no OpenBLAS was found" in "\n".join(benchmark_markdown({**found, "blas": None}))
