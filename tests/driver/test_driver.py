"""Whole runs: the folder that comes out, what a failed run leaves, and that the same input gives the same bytes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hand
import pytest

import mlx_transpile
import mlx_transpile.frontend
from mlx_transpile import Result, TranspileError, transpile
from mlx_transpile.codegen import project
from mlx_transpile.errors import BadRequest

FILES = {
    "config.json", "constants.safetensors", "manifest.json", "model.py", "reference.safetensors", "remap_weights.py",
    "test_model.py", "weights.safetensors",
}  # fmt: skip


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """A run on the model made by hand, into `out`."""

    def run(
        out: str | None = "out", captured: dict[str, Any] | None = None, **options: Any
    ) -> Result:
        monkeypatch.setattr(
            mlx_transpile.frontend, "capture", lambda *a, **k: hand.captured(**(captured or {}))
        )
        return transpile("by hand", tmp_path / out if out else None, **options)

    return run


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


# ---- what comes out


def test_the_folder(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run()
    out = tmp_path / "out"
    assert {p.name for p in out.iterdir()} == FILES == set(result.files)
    assert result.config == json.loads((out / "config.json").read_text())
    assert os.listdir(tmp_path) == ["out"]
    assert out.stat().st_mode & 0o777 == 0o777 & ~project._umask()


def test_manifest(run: Callable[..., Result], tmp_path: Path) -> None:
    run(name="MyNet", level=1, disable_pass=["cse"])
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["generator"]["name"] == "mlx-transpile"
    assert manifest["inputs"] == [{"name": "ids", "dtype": "i64", "dims": ["B", "L"]}]
    assert manifest["outputs"] == {"logits": {"dtype": "f32", "dims": ["B", "L", 11]}}
    assert manifest["symbols"]["L"] == {"low": 2, "high": 64}
    assert manifest["dims"][1]["evidence"] == "by hand"
    assert manifest["options"]["name"] == "MyNet"
    assert manifest["options"]["disable_pass"] == ["cse"]
    assert "cse" not in [p["name"] for p in manifest["passes"]]
    assert manifest["parameters"]["mix.weight"]["recipe"] == "permute(read('mix.weight'), (1, 0))"
    assert manifest["parameters"]["blocks.0.gain"]["buffer"] is True
    assert manifest["aliases"] == {"head.weight": "embed.weight"}
    assert manifest["unused"] == ["unused.{}.counter"]
    assert set(manifest["files"]) == FILES
    methods = {m["method"]: m for m in manifest["lines"]["model.py"]}
    assert methods["Block.__call__"]["modules"] == ["blocks.*"]
    model = (tmp_path / "out" / "model.py").read_text().splitlines()
    for place, line in methods["Model.__call__"]["lines"].items():
        called = [n for n in ("Block",) if "block(" in model[int(place.split("-")[0]) - 1]]
        assert line.get("calls", []) == called or "for " in model[int(place.split("-")[0]) - 1]


def test_the_test_of_the_output_runs_without_torch(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    run()
    command = [
        sys.executable,
        "-c",
        "import sys; sys.modules['torch'] = sys.modules['numpy.random'] = None; import runpy; runpy.run_path('test_model.py', run_name='__main__')",
    ]
    done = subprocess.run(
        command, cwd=tmp_path / "out", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_model.py"]
    assert (
        subprocess.run(pytest_, cwd=tmp_path / "out", capture_output=True, check=False).returncode
        == 0
    )


def test_the_test_of_the_output_finds_a_wrong_model(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    run()
    model = tmp_path / "out" / "model.py"
    model.write_text(model.read_text().replace("h + z", "h - z"))
    done = subprocess.run(
        [sys.executable, "test_model.py"],
        cwd=tmp_path / "out",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "differs by" in done.stderr


def test_the_test_of_the_output_asks_for_weights(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    run(no_weights=True)
    done = subprocess.run(
        [sys.executable, "test_model.py"],
        cwd=tmp_path / "out",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "make the weights first: python remap_weights.py CHECKPOINT" in done.stderr


def test_the_same_input_gives_the_same_bytes(run: Callable[..., Result], tmp_path: Path) -> None:
    run("a", dump_ir=True, validate=True)
    run("b", dump_ir=True, validate=True)
    a, b = tree(tmp_path / "a"), tree(tmp_path / "b")
    assert a.pop("ir/index.txt") and b.pop("ir/index.txt")  # it has milliseconds
    assert a == b


def test_the_number_of_layers_is_in_the_configuration_alone(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    run("two", captured={"source": hand.text(2)})
    run("six", captured={"source": hand.text(6)})
    two, six = tree(tmp_path / "two"), tree(tmp_path / "six")
    for name in ("model.py", "remap_weights.py", "test_model.py"):
        assert two[name] == six[name]
    differs = {
        k
        for k, v in json.loads(six["config.json"]).items()
        if json.loads(two["config.json"])[k] != v
    }
    assert differs == {"num_hidden_layers"}


def test_validation_and_benchmark_write_reports(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlx_transpile.benchmark.SECONDS", 0.0)
    result = run(validate=True, benchmark=True)
    assert result.ok and result.report and result.report.max_abs < 1e-5
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["passed"] is True
    assert {name: row["runs"] for name, row in report["benchmark"]["rows"].items()} == {
        "source": 5,
        "python": 5,
    }
    assert "## Time" in (tmp_path / "out" / "report.md").read_text()


def test_benchmark_alone(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlx_transpile.benchmark.SECONDS", 0.0)
    assert run(benchmark=True).ok
    assert json.loads((tmp_path / "out" / "report.json").read_text())["passed"] is None


def test_validation_that_fails_leaves_the_output_and_says_so(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    result = run(validate=True, atol=0.0, rtol=0.0)
    assert not result.ok
    assert json.loads((tmp_path / "out" / "report.json").read_text())["passed"] is False
    assert (tmp_path / "out" / "model.py").exists()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_dtype_is_validated_with_its_own_tolerance(
    run: Callable[..., Result], tmp_path: Path, dtype: str
) -> None:
    result = run(dtype=dtype, validate=True)
    assert result.ok and result.report
    assert result.report.tolerance.atol > 1e-3
    assert 1e-5 < result.report.max_abs < 0.1
    done = subprocess.run(
        [sys.executable, "test_model.py"],
        cwd=tmp_path / "out",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_no_weights(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run(no_weights=True, validate=True)
    assert result.ok
    assert not (tmp_path / "out" / "weights.safetensors").exists()
    assert "weights.safetensors" not in result.files


def test_dump_ir(run: Callable[..., Result], tmp_path: Path) -> None:
    run(dump_ir=True)
    names = sorted(os.listdir(tmp_path / "out" / "ir"))
    assert names[0] == "00-captured.ir"
    assert any(n.endswith("-fold_parameters.ir") for n in names)
    assert names[-2:] == ["constants.safetensors", "index.txt"]


def test_print_after(run: Callable[..., Result], capsys: pytest.CaptureFixture[str]) -> None:
    run(print_after="cleanup")
    text = capsys.readouterr().out
    assert text.startswith("@graph('Net'")
    assert "permute" not in text
    run(print_after="fold_parameters")
    assert "permute" in capsys.readouterr().out


def test_check_writes_nothing(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run(None, check=True)
    assert result.out is None
    assert os.listdir(tmp_path) == []
    for part in (
        "ids: i64[B, L]",
        "linear x4",
        "head.weight is tied to embed.weight",
        "ids, axis 1: L, free (by hand)",
    ):
        assert part in (result.plan or "")


# ---- the folder that is there already


def test_a_folder_of_ours_is_replaced_and_the_users_files_stay(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    run(dump_ir=True, validate=True)
    out = tmp_path / "out"
    (out / "notes.txt").write_text("mine")
    (out / "__pycache__").mkdir()
    (out / "model.py").write_text("old")
    run()
    assert {p.name for p in out.iterdir()} == FILES | {"notes.txt"}
    assert (out / "notes.txt").read_text() == "mine"
    assert "class Model" in (out / "model.py").read_text()
    assert os.listdir(tmp_path) == ["out"]


def test_an_empty_folder_is_taken(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert run().files


@pytest.mark.parametrize(
    "manifest",
    [None, "{}", "[]", "no json", '{"generator": "other"}', '{"generator": {"name": "x"}}'],
)
def test_a_folder_of_another_tool_is_refused(
    run: Callable[..., Result], tmp_path: Path, manifest: str | None
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "file.txt").write_text("mine")
    if manifest is not None:
        (out / "manifest.json").write_text(manifest)
    before = tree(tmp_path)
    with pytest.raises(BadRequest, match="was not made by this tool"):
        run()
    assert tree(tmp_path) == before


def test_a_file_in_the_place_of_the_folder(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(BadRequest, match="is no folder"):
        run()


def test_a_link_to_a_folder_stays_a_link(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    run()
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "real" / "model.py").exists()


def test_parents_are_made_and_taken_back(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("a/b/out")
    assert (tmp_path / "a" / "b" / "out" / "model.py").exists()
    monkeypatch.setattr(project, "write_json", fail)
    with pytest.raises(Crash):
        run("c/d/out")
    assert os.listdir(tmp_path) == ["a"]


def test_where_nothing_can_be_written(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadRequest, match="cannot be written"):
        run("file/out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(BadRequest, match="Permission denied"):
        run("locked/out")


# ---- failures


class Crash(Exception):
    pass


def fail(*args: Any, **kwargs: Any) -> Any:
    raise Crash


STAGES = [
    "mlx_transpile.passes.pipeline.list_passes",
    "mlx_transpile.codegen.emit",
    "mlx_transpile.codegen.weights.make_rules",
    "mlx_transpile.codegen.weights.remap_script",
    "mlx_transpile.codegen.weights.write_weights",
    "mlx_transpile.codegen.project.write_code",
    "mlx_transpile.codegen.project.write_constants",
    "mlx_transpile.codegen.project.write_reference",
    "mlx_transpile.codegen.project.write_ir",
    "mlx_transpile.cases.run_cases",
    "mlx_transpile.validate.validate",
    "mlx_transpile.benchmark.benchmark",
    "mlx_transpile.report.write_report",
    "mlx_transpile.manifest.manifest",
    "mlx_transpile.codegen.project._replace",
]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("existing", [False, True])
def test_a_failure_in_any_stage_leaves_everything_as_it_was(
    run: Callable[..., Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    existing: bool,
) -> None:
    monkeypatch.setattr("mlx_transpile.benchmark.SECONDS", 0.0)
    if existing:
        run()
    before = tree(tmp_path)
    if stage == "mlx_transpile.codegen.weights.remap_script":
        stage = "mlx_transpile.codegen.project.remap_script"  # the name that is called
    monkeypatch.setattr(stage, fail)
    with pytest.raises((Crash, TranspileError)):
        run(validate=True, benchmark=True, dump_ir=True, print_after="cleanup")
    assert tree(tmp_path) == before
    assert sorted(os.listdir(tmp_path)) == (["out"] if existing else [])


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_failed_rename_is_undone(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    run()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    rename, count = os.rename, 0

    def renamed(*args: Any) -> None:
        nonlocal count
        count += 1
        if count == step:
            raise KeyboardInterrupt
        rename(*args)

    monkeypatch.setattr(os, "rename", renamed)
    with pytest.raises(KeyboardInterrupt):
        run(no_weights=True)
    assert tree(tmp_path) == before
    assert os.listdir(tmp_path) == ["out"]


def test_a_pass_that_fails_is_named_and_its_ir_is_kept(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlx_transpile.passes import pipeline
    from mlx_transpile.passes.table import Pass

    monkeypatch.setattr(pipeline, "PASSES", [Pass("bad_pass", fail, 0, "fails")])
    with pytest.raises(TranspileError, match="the pass bad_pass failed") as error:
        run()
    kept = Path(error.value.where.rsplit(" ", 1)[-1])
    assert "@graph('Net'" in kept.read_text()
    shutil.rmtree(kept.parent)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"emit": ["python", "rust"]}, "nothing emits 'rust'"),
        ({"emit": []}, "nothing to emit"),
        ({"dtype": "int8"}, "unknown dtype 'int8'"),
        ({"level": 3}, "there is no level 3"),
        ({"atol": -1.0}, "is no tolerance"),
        ({"rtol": float("nan")}, "is no tolerance"),
        ({"disable_pass": ["nonsense"]}, "no pass is called 'nonsense'"),
        ({"print_after": "nonsense"}, "no pass is called 'nonsense'"),
        ({"stop_after": "nonsense"}, "no pass is called 'nonsense'"),
        ({"inputs": ["x"]}, "does not describe an input"),
        ({"inputs": ["x=0:int64"]}, "a dim is 0"),
    ],
)
def test_bad_requests_fail_before_any_work(
    run: Callable[..., Result],
    options: dict[str, Any],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(BadRequest, match=message.replace("+", "\\+")) as error:
        run(**options)
    assert error.value.status == 2


def test_an_output_is_needed(run: Callable[..., Result]) -> None:
    with pytest.raises(BadRequest, match="no output folder"):
        run(None)


def test_the_public_names() -> None:
    assert mlx_transpile.transpile is transpile
    assert {"transpile", "TranspileError", "Result"} == set(mlx_transpile.__all__)
    with pytest.raises(AttributeError):
        _ = mlx_transpile.nonsense  # type: ignore[attr-defined]
