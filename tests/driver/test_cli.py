"""The command: options, exit statuses, one short message on stderr, and how long `--help` takes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hand
import pytest

import mlx_transpile.frontend
from mlx_transpile import cli
from mlx_transpile.errors import TranspileError

COMMAND = [sys.executable, "-m", "mlx_transpile.cli"]


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """The command on the model made by hand."""

    def main(*args: str, capture: Any = lambda *a, **k: hand.captured()) -> int:
        monkeypatch.setattr(mlx_transpile.frontend, "capture", capture)
        monkeypatch.chdir(tmp_path)
        return cli.main(args)

    return main


def raising(error: BaseException) -> Callable[..., Any]:
    def capture(*args: Any, **kwargs: Any) -> Any:
        raise error

    return capture


def test_done(main: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("model.pt", "-o", "out") == 0
    assert (tmp_path / "out" / "model.py").exists()
    assert capsys.readouterr() == ("", "")  # quiet in a pipe


def test_a_failed_validation_is_status_1_with_the_report(
    main: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("model.pt", "-o", "out", "--validate", "--atol", "0", "--rtol", "0") == 1
    assert "validation failed: see" in capsys.readouterr().err
    assert (tmp_path / "out" / "report.md").exists()


def test_options_reach_the_driver(main: Callable[..., int], tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    def capture(source: Any, **options: Any) -> Any:
        seen.update(options, source=source)
        return hand.captured()

    args = [
        "m:f",
        "--weights",
        "w.pt",
        "-o",
        "out",
        "--input",
        "ids=batch,seq:int64",
        "--dtype",
        "bfloat16",
        "-O0",
        "--name",
        "Mine",
        "--no-weights",
    ]
    assert main(*args, capture=capture) == 0
    assert seen["source"] == "m:f"
    assert seen["weights"] == "w.pt"
    assert str(seen["inputs"][0]) == "ids=batch,seq:int64"
    options = json.loads((tmp_path / "out" / "manifest.json").read_text())["options"]
    assert (options["dtype"], options["level"], options["name"]) == ("bfloat16", 0, "Mine")
    assert not (tmp_path / "out" / "weights.safetensors").exists()


@pytest.mark.parametrize("status", [1, 2])
def test_an_error_is_one_message(
    main: Callable[..., int], capsys: pytest.CaptureFixture[str], status: int
) -> None:
    error = TranspileError("it is broken", where="file.pt", hint="another file", status=status)
    assert main("m.pt", "-o", "out", capture=raising(error)) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "transpile: it is broken\n  where: file.pt\n  what would work: another file\n"


def test_traceback(main: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert main("m.pt", "-o", "out", "--traceback", capture=raising(TranspileError("broken"))) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_internal_error_has_no_traceback_unless_asked(
    main: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("m.pt", "-o", "out", capture=raising(KeyError("x"))) == 1
    err = capsys.readouterr().err
    assert "internal error: KeyError: 'x'" in err
    assert "Traceback" not in err
    assert main("m.pt", "-o", "out", "--traceback", capture=raising(KeyError("x"))) == 1
    assert "Traceback" in capsys.readouterr().err


def test_interrupt(
    main: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("m.pt", "-o", "out", capture=raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "transpile: interrupted\n"
    assert os.listdir(tmp_path) == []


def test_control_characters_of_a_model_do_not_reach_the_terminal(
    main: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    main("m.pt", "-o", "out", capture=raising(TranspileError("name \x1b[2J\u202e")))
    assert capsys.readouterr().err == "transpile: name \\x1b[2J\\u202e\n"


def test_check(
    main: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("m.pt", "--check") == 0
    assert "linear x4" in capsys.readouterr().out
    assert os.listdir(tmp_path) == []


def test_list_passes(main: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert main("--list-passes") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("-O1  cleanup ") for line in lines)


@pytest.mark.parametrize(
    "args",
    [(), ("m.pt",), ("-o", "out"), ("m.pt", "-o", "out", "-O", "7"), ("m.pt", "-o", "out", "--dtype", "int8"), ("m.pt", "-o", "out", "--nonsense")],
)  # fmt: skip
def test_bad_usage_is_status_2(main: Callable[..., int], args: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as error:
        main(*args)
    assert error.value.code == 2


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("m.pt", "-o", "out", "--emit", "rust"), "nothing emits 'rust'"),
        (("m.pt", "-o", "out", "--input", "x"), "does not describe an input"),
        (("m.pt", "-o", "out", "--disable-pass", "none"), "no pass is called 'none'"),
        (("m.pt", "-o", "taken"), "was not made by this tool"),
    ],
)
def test_bad_requests_are_status_2(
    main: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    args: tuple[str, ...],
    words: str,
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("")
    assert main(*args, capture=raising(AssertionError("not reached"))) == 2
    assert words in capsys.readouterr().err


# ---- the process


def process(*args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *args], capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize("content", [None, b"", b"GGUF\x03\x00\x00\x00", b"nothing that is known"])
def test_files_that_are_no_model(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "model.pt").write_bytes(content)
    done = process("model.pt", "-o", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("transpile: ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


SLOW = """
import sys, time
sys.path.insert(0, {here!r})
import hand, mlx_transpile.frontend
from mlx_transpile import cli
from mlx_transpile.codegen import project

def wait(*args):
    print("waiting", flush=True)
    time.sleep(60)

mlx_transpile.frontend.capture = lambda *a, **k: hand.captured()
project.write_reference = wait
sys.argv = ["transpile", "m.pt", "-o", "out"]
sys.exit(cli.main())
"""


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, 130)]
)
def test_a_run_that_is_ended_leaves_nothing(tmp_path: Path, number: int, status: int) -> None:
    code = SLOW.format(here=str(Path(__file__).parent))
    run = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE)
    assert run.stdout and run.stdout.readline() == b"waiting\n"
    assert len(os.listdir(tmp_path)) == 1
    run.send_signal(number)
    assert run.wait(30) == status
    assert os.listdir(tmp_path) == []


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, mlx_transpile.cli as c; c.build_parser().format_help(); print([m for m in ('numpy', 'mlx', 'torch', 'jinja2', 'rich', 'onnx_ir', 'black') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_reader_that_goes_away() -> None:
    done = subprocess.run(
        f"{sys.executable} -m mlx_transpile.cli --list-passes | true; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
