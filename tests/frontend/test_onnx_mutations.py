"""300 damaged copies of an ONNX file: each compiles or is refused in a few words; nothing hangs."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx_ir")

from onnx_mutation import KINDS, mutated, small_model  # noqa: E402

from mlx_transpile.cli import main  # noqa: E402

COUNT = 300
CHUNK = 25
SECONDS = 20  # for one of them: a hundred times what they take


@pytest.fixture(scope="module")
def data() -> bytes:
    found: bytes = small_model().SerializeToString()
    return found


@pytest.fixture
def limited() -> Iterator[None]:
    """Each call of `signal.alarm` ends what runs too long; memory is limited where it can be."""

    def late(number: int, frame: Any) -> None:
        raise TimeoutError("it hangs")

    if sys.platform == "win32":
        pytest.skip("needs alarms")
    before = signal.signal(signal.SIGALRM, late)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def status(path: Path, out: Path, capsys: pytest.CaptureFixture[str], *options: str) -> int:
    signal.alarm(SECONDS)
    found = main([str(path), "-o", str(out), *options])
    signal.alarm(0)
    said = capsys.readouterr().err
    assert (found == 0) == (said == ""), said
    assert "Traceback" not in said and len(said) < 3000
    return found


def test_the_model_itself_compiles(
    data: bytes, tmp_path: Path, limited: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The norm divides by what rectifying leaves, which may be next to nothing: a wide tolerance."""
    path, out = tmp_path / "model.onnx", tmp_path / "out"
    path.write_bytes(data)
    assert status(path, out, capsys, "--validate", "--atol", "0.01") == 0


@pytest.mark.parametrize("first", range(0, COUNT, CHUNK))
def test_damaged_copies(
    first: int, data: bytes, tmp_path: Path, limited: None, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "model.onnx", tmp_path / "out"
    found = []
    for number in range(first, first + CHUNK):
        path.write_bytes(mutated(data, number))
        try:
            found.append(status(path, out, capsys, "--check"))
        except Exception as error:
            error.add_note(f"mutation {number}, {KINDS[number % len(KINDS)]}")
            raise
        assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
    assert set(found) <= {0, 1, 2} and found.count(0) < CHUNK


def test_a_few_that_compile_to_the_end(
    data: bytes, tmp_path: Path, limited: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole runs: what is refused late leaves nothing behind either."""
    path, out = tmp_path / "model.onnx", tmp_path / "out"
    for number in range(5, COUNT, 24):  # fields that hold something else
        path.write_bytes(mutated(data, number))
        shutil.rmtree(out, ignore_errors=True)
        if status(path, out, capsys):
            assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
        else:
            assert (out / "model.py").exists()
