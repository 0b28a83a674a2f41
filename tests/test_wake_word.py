"""The wake-word example: three ONNX files, transpiled, on a stream, against onnxruntime."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ort = pytest.importorskip("onnxruntime")

from mlx_transpile import transpile  # noqa: E402

NAMES = ("melspectrogram", "embedding", "classifier")
Model = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def folder(root: Path) -> Path:
    return root / "examples" / "wake_word"


@pytest.fixture(scope="module")
def example(folder: Path) -> dict[str, Any]:
    return runpy.run_path(str(folder / "detector.py"))


@pytest.fixture(scope="module")
def transpiled(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wake")
    for name in NAMES:
        assert transpile(folder / f"{name}.onnx", out / name, validate=True).ok
    return out


def session(path: Path) -> Model:
    found = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda x: np.asarray(found.run(None, {found.get_inputs()[0].name: x})[0])


def test_the_stream_gives_the_scores_of_onnxruntime(
    folder: Path, example: dict[str, Any], transpiled: Path
) -> None:
    ours = example["Detector"](*(example["transpiled"](transpiled / name) for name in NAMES))
    theirs = example["Detector"](*(session(folder / f"{name}.onnx") for name in NAMES))
    stream = list(example["chunks"](example["rising_tone"](4.0)))
    assert {len(chunk) for chunk in stream} == {1280} and len(stream) == 50
    pairs = [(ours(chunk), theirs(chunk)) for chunk in stream]
    assert all((a is None) == (b is None) for a, b in pairs)
    scores = np.array([pair for pair in pairs if pair[0] is not None])
    assert (
        len(scores) == 50 - 9 - 15
    )  # 76 frames fill with the tenth chunk, 16 vectors with 15 more
    assert np.ptp(scores[:, 1]) > 0.01  # they follow the sound
    np.testing.assert_allclose(scores[:, 0], scores[:, 1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.frames, theirs.frames, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours.steps, theirs.steps, rtol=1e-3, atol=1e-4)


def test_chunks_make_the_frames_of_the_whole_sound(
    example: dict[str, Any], transpiled: Path
) -> None:
    """But for the floor, 80 decibels below the loudest, no frame depends on where chunks end."""
    melspectrogram = example["transpiled"](transpiled / "melspectrogram")
    samples = example["rising_tone"](0.8)
    detector = example["Detector"](melspectrogram, lambda x: np.zeros((1, 96)), lambda x: x)
    for chunk in example["chunks"](samples):
        detector(chunk)
    before = np.concatenate([np.zeros(240, np.float32), samples.astype(np.float32)])
    whole = melspectrogram(before[None])[0, 0, -76:] / 10 + 2
    loud = whole > whole.max() - 6
    assert loud.mean() > 0.5
    np.testing.assert_allclose(detector.frames[loud], whole[loud], rtol=1e-4, atol=1e-4)


def test_the_files_are_small_and_what_the_script_makes(folder: Path) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    made = runpy.run_path(str(folder / "make_models.py"))["build"]()
    assert tuple(made) == NAMES
    for name, (module, example_input, argument, dims) in made.items():
        path = folder / f"{name}.onnx"
        assert path.stat().st_size < 1_000_000
        shape = [3 * n if axis in dims else n for axis, n in enumerate(example_input.shape)]
        x = rng.standard_normal(shape).astype(np.float32)
        with torch.no_grad():
            want = module(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(session(path)(x), want, rtol=1e-3, atol=1e-4)
        assert argument in ("samples", "frames", "embeddings")
