"""remap_weights.py as it stands in an output folder: what it reads, what it refuses, what it writes."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import IO

import hand
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import mlx_transpile.frontend
from mlx_transpile import transpile


def write(monkeypatch: pytest.MonkeyPatch, out: Path, **options: object) -> Path:
    changes = options.pop("captured", {})
    monkeypatch.setattr(mlx_transpile.frontend, "capture", lambda *a, **k: hand.captured(**changes))
    transpile("by hand", out, **options)
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return write(monkeypatch, tmp_path_factory.mktemp("made") / "out")


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "out"))


def script(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("remap_weights", folder / "remap_weights.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def remap(folder: Path, checkpoint: Path, **options: object) -> dict[str, np.ndarray]:
    target = folder.parent / "remapped.safetensors"
    script(folder).remap(checkpoint, target, **options)
    return load_file(target)


def refusal(folder: Path, checkpoint: Path) -> str:
    module = script(folder)
    target = folder.parent / "refused.safetensors"
    with pytest.raises(module.Refused) as error:
        module.remap(checkpoint, target)
    assert not target.exists()
    return str(error.value)


def checkpoint(
    path: Path, change: Callable[[dict[str, np.ndarray]], object] = lambda t: None
) -> Path:
    tensors = hand.checkpoint(hand.captured())
    change(tensors)
    save_file(tensors, path)
    return path


def same(got: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> bool:
    assert got.keys() == want.keys()
    return all(got[k].dtype == want[k].dtype and np.array_equal(got[k], want[k]) for k in want)


# ---- what it reads


def test_a_safetensors_file_gives_what_the_driver_wrote(out: Path, tmp_path: Path) -> None:
    assert same(
        remap(out, checkpoint(tmp_path / "c.safetensors")), load_file(out / "weights.safetensors")
    )


def test_a_sharded_checkpoint_by_its_index_and_by_its_folder(out: Path, tmp_path: Path) -> None:
    tensors = hand.checkpoint(hand.captured())
    folder = tmp_path / "sharded"
    folder.mkdir()
    names = list(tensors)
    shards = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, own in shards.items():
        save_file({n: tensors[n] for n in own}, folder / file)
    weight_map = {n: file for file, own in shards.items() for n in own}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    want = load_file(out / "weights.safetensors")
    assert same(remap(out, index), want)
    assert same(remap(out, folder), want)
    (folder / "model-2.safetensors").unlink()
    assert "model-2.safetensors" in refusal(out, index)


def module_of(tensors: dict[str, np.ndarray]):
    """A torch module whose state dict is the tensors."""
    import torch

    root = torch.nn.Module()
    for name, array in tensors.items():
        *path, last = name.split(".")
        module = root
        for part in path:
            if part not in dict(module.named_children()):
                module.add_module(part, torch.nn.Module())
            module = module.get_submodule(part)
        module.register_buffer(last, torch.from_numpy(array.copy()))

    class Whole(torch.nn.Module):
        def forward(self, x):
            return x

    whole = Whole()
    for name, child in root.named_children():
        whole.add_module(name, child)
    return whole.eval()


def test_a_state_dict_file(out: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    module = module_of(hand.checkpoint(hand.captured()))
    want = load_file(out / "weights.safetensors")
    torch.save(module.state_dict(), tmp_path / "state.pt")
    assert same(remap(out, tmp_path / "state.pt"), want)
    torch.save({"state_dict": module.state_dict(), "epoch": 3}, tmp_path / "nested.pt")
    assert same(remap(out, tmp_path / "nested.pt"), want)
    torch.save(module.state_dict(), tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    assert same(remap(out, tmp_path / "legacy.pt"), want)


def test_a_torchscript_archive(out: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    module = module_of(hand.checkpoint(hand.captured()))
    torch.jit.trace(module, (torch.ones(2),)).save(str(tmp_path / "model.pt"))
    assert same(remap(out, tmp_path / "model.pt"), load_file(out / "weights.safetensors"))


def test_a_torch_export_archive_needs_no_torch(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    module = module_of(hand.checkpoint(hand.captured()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module, (torch.ones(2),)), tmp_path / "model.pt2")
    own = script(out)
    monkeypatch.setattr(own, "import_torch", lambda: pytest.fail("torch is not needed"))
    own.remap(tmp_path / "model.pt2", tmp_path / "w.safetensors")
    assert same(load_file(tmp_path / "w.safetensors"), load_file(out / "weights.safetensors"))


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int16", "int64", "float16", "bfloat16", "float32", "complex64"]
)
@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 3)])
def test_torch_tensors_arrive_exactly(out: Path, dtype: str, shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    tensor = (torch.rand(shape) * 3).to(getattr(torch, dtype))
    array = script(out).from_torch(tensor)
    assert tuple(array.shape) == shape
    assert str(array.dtype).removeprefix("mlx.core.").removesuffix("_") == dtype
    assert (
        np.array(array.astype(array.dtype)).tolist() == tensor.tolist()
        if dtype != "bfloat16"
        else array.tolist() == tensor.tolist()
    )


def test_transposed_views_and_float64_of_torch(out: Path) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.arange(6, dtype=torch.float64).reshape(2, 3).t()
    array = script(out).from_torch(tensor)
    assert str(array.dtype) == "mlx.core.float32"
    assert array.tolist() == tensor.tolist()


def test_pickled_code_does_not_run(out: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    witness = tmp_path / "ran"

    class Payload:
        def __reduce__(self):
            return (open, (str(witness), "w"))

    torch.save({"w": torch.ones(1), "x": Payload()}, tmp_path / "planted.pt")
    assert "without running its code" in refusal(out, tmp_path / "planted.pt")
    assert not witness.exists()


@pytest.mark.parametrize(
    "content", [b"", b"x", b"no checkpoint at all" * 9, b"{}", b"PK\x03\x04broken"]
)
def test_what_is_no_checkpoint_is_refused(out: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.pt").write_bytes(content)
    found = command(out, str(tmp_path / "c.pt"))
    assert found.returncode == 1
    assert len(found.stderr.strip().splitlines()) == 1


def test_a_missing_file(out: Path, tmp_path: Path) -> None:
    assert "no such file" in refusal(out, tmp_path / "none.pt")


# ---- what it refuses


def test_everything_that_does_not_fit_is_listed_at_once(out: Path, tmp_path: Path) -> None:
    def spoil(t: dict[str, np.ndarray]) -> None:
        del t["mix.bias"]
        t["extra.weight"] = np.zeros(2, np.float32)
        t["blocks.1.fc.weight"] = np.zeros((8, 7), np.float32)
        t["embed.weight"] = t["embed.weight"].astype(np.int32)

    message = refusal(out, checkpoint(tmp_path / "c.safetensors", spoil))
    assert "missing: mix.bias" in message
    assert "surprising: extra.weight" in message
    assert "wrong shape: blocks.1.fc.weight is (8, 7), the model has (8, 8)" in message
    assert "wrong dtype: embed.weight" in message


def test_a_transposition_that_cannot_be_done_is_a_wrong_shape(out: Path, tmp_path: Path) -> None:
    path = checkpoint(
        tmp_path / "c.safetensors",
        lambda t: t.update({"mix.weight": np.zeros((8, 8, 1), np.float32)}),
    )
    assert "wrong shape: mix.weight" in refusal(out, path)


def test_a_value_that_became_code_must_be_the_same(out: Path, tmp_path: Path) -> None:
    want = load_file(out / "weights.safetensors")
    without = checkpoint(tmp_path / "without.safetensors", lambda t: t.pop("heads"))
    assert same(remap(out, without), want)
    other = checkpoint(tmp_path / "other.safetensors", lambda t: t.update(heads=np.array(8)))
    assert "not equal: heads is 4 in model.py" in refusal(out, other)


def test_numbers_that_became_code_must_be_the_same(out: Path, tmp_path: Path) -> None:
    want = load_file(out / "weights.safetensors")
    without = checkpoint(tmp_path / "without.safetensors", lambda t: t.pop("places"))
    assert same(remap(out, without), want)
    for numbers in ([[0, 1, 2, 4, 3]], [[0, 1, 2, 3]]):
        other = checkpoint(
            tmp_path / "other.safetensors", lambda t, n=numbers: t.update(places=np.array(n))
        )
        assert "not equal: places is range(0, 5) in model.py" in refusal(out, other)


class Masked(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = torch.nn.Linear(4, 4)
        self.register_buffer("mask", torch.ones(6, 6).tril()[None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = x.shape[1]
        return self.mix(self.mask[:, :n, :n] @ x)


def test_a_triangle_that_became_code_must_be_the_same(tmp_path: Path) -> None:
    model, out = Masked().eval(), tmp_path / "out"
    torch.jit.trace(model, torch.ones(2, 5, 4)).save(tmp_path / "model.pt")
    transpile(tmp_path / "model.pt", out)
    assert list(load_file(out / "weights.safetensors")) == ["mix.bias", "mix.weight"]
    state = model.state_dict()
    torch.save(state, tmp_path / "c.pt")
    assert same(remap(out, tmp_path / "c.pt"), load_file(out / "weights.safetensors"))
    state["mask"][0, 0, 3] = 1
    torch.save(state, tmp_path / "c.pt")
    assert "not equal: mask is (0, 1.0, 0.0) in model.py" in refusal(out, tmp_path / "c.pt")


def test_known_unused_tensors_may_be_there_or_not(out: Path, tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "c.safetensors", lambda t: t.pop("unused.0.counter"))
    assert same(remap(out, path), load_file(out / "weights.safetensors"))


def test_buffers_that_a_checkpoint_lacks_come_from_the_constants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = hand.text().replace(
        "param('mix.bias', f32[8])", "param('mix.bias', f32[8], buffer=True)"
    )
    out = write(monkeypatch, tmp_path / "out", captured={"source": text})
    path = checkpoint(tmp_path / "c.safetensors", lambda t: t.pop("mix.bias"))
    assert same(remap(out, path), load_file(out / "weights.safetensors"))
    assert "taken from constants.safetensors: mix.bias" in capsys.readouterr().out
    own = checkpoint(
        tmp_path / "own.safetensors", lambda t: t.update({"mix.bias": t["mix.bias"] + 1})
    )
    assert np.array_equal(remap(out, own)["mix.bias"], load_file(own)["mix.bias"])
    assert capsys.readouterr().out == ""


def test_a_tied_tensor_may_stand_under_either_name(out: Path, tmp_path: Path) -> None:
    want = load_file(out / "weights.safetensors")
    both = checkpoint(
        tmp_path / "both.safetensors", lambda t: t.update({"head.weight": t["embed.weight"]})
    )
    assert same(remap(out, both), want)
    other = checkpoint(
        tmp_path / "other.safetensors", lambda t: t.update({"head.weight": t.pop("embed.weight")})
    )
    assert same(remap(out, other), want)
    unequal = checkpoint(
        tmp_path / "un.safetensors", lambda t: t.update({"head.weight": t["embed.weight"] + 1})
    )
    assert "not equal: head.weight and embed.weight" in refusal(out, unequal)


# ---- what it writes


def test_converting_twice_changes_nothing(out: Path, tmp_path: Path) -> None:
    once, twice = tmp_path / "once.safetensors", tmp_path / "twice.safetensors"
    own = script(out)
    own.remap(checkpoint(tmp_path / "c.safetensors"), once)
    own.remap(once, twice)
    assert once.read_bytes() == twice.read_bytes()
    own.remap(once, once)
    assert once.read_bytes() == twice.read_bytes()
    own.remap(out / "weights.safetensors", twice)
    assert same(load_file(twice), load_file(once))


def test_the_metadata_holds_the_config(out: Path, tmp_path: Path) -> None:
    import mlx.core as mx

    script(out).remap(checkpoint(tmp_path / "c.safetensors"), tmp_path / "own.safetensors")
    for path in (out / "weights.safetensors", tmp_path / "own.safetensors"):
        text = mx.load(str(path), return_metadata=True)[1]["config"]
        assert json.loads(text) == json.loads((out / "config.json").read_text())
        assert " " not in text and "\n" not in text


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "config.json is missing"),
        (lambda path: path.write_text("{"), "config.json is no JSON"),
    ],
)
def test_the_config_is_needed(
    out: Path, tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(out / "config.json")
    done = command(out, str(checkpoint(tmp_path / "c.safetensors")))
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_weights_of_another_output_are_refused(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write(monkeypatch, tmp_path / "other", level=0)
    assert "converted for another model.py" in refusal(out, other / "weights.safetensors")


def test_converted_weights_of_other_sizes_are_refused(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write(monkeypatch, tmp_path / "other", captured={"source": hand.text(3)})
    message = refusal(out, other / "weights.safetensors")
    assert "surprising: blocks.2.fc.weight" in message


def test_dtype(out: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    script(out).remap(checkpoint(tmp_path / "c.safetensors"), path, "bfloat16")
    import mlx.core as mx

    assert {v.dtype for v in mx.load(str(path)).values()} == {mx.bfloat16}


def test_the_test_of_the_output_knows_the_dtype_of_the_weights(out: Path, tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "c.safetensors")
    for dtype in ("bfloat16", "float16", "float32"):
        assert command(out, str(source), "--dtype", dtype).returncode == 0
        test = [sys.executable, "test_model.py"]
        done = subprocess.run(test, cwd=out, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_dtype_of_the_driver_is_the_scripts_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlx.core as mx

    out = write(monkeypatch, tmp_path / "out", dtype="float16")
    own = script(out)
    assert own.DTYPE == "float16"
    own.remap(checkpoint(tmp_path / "c.safetensors"), tmp_path / "w.safetensors")
    got, want = mx.load(str(tmp_path / "w.safetensors")), mx.load(str(out / "weights.safetensors"))
    assert got.keys() == want.keys()
    assert all(got[k].dtype == mx.float16 and mx.array_equal(got[k], want[k]) for k in want)


def test_a_failed_write_leaves_the_old_file_and_no_partial_one(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "w.safetensors"
    target.write_bytes(b"old")
    before = sorted(os.listdir(tmp_path))
    own = script(out)

    def fail(file: IO[bytes], *args: object) -> None:
        file.write(b"half")
        raise OSError("no space left")

    source = checkpoint(tmp_path / "c.safetensors")
    monkeypatch.setattr(own, "write_safetensors", fail)
    with pytest.raises(OSError, match="no space"):
        own.remap(source, target)
    assert target.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == sorted([*before, "c.safetensors"])


# ---- the command


def command(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(folder / "remap_weights.py"), *args],
        capture_output=True,
        text=True,
        check=False,
    )


def test_command(out: Path, tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "c.safetensors")
    want = load_file(out / "weights.safetensors")
    (out / "weights.safetensors").unlink()
    done = command(out, str(path))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no progress into a pipe
    assert same(load_file(out / "weights.safetensors"), want)


def test_help_says_what_it_reads(out: Path) -> None:
    text = command(out, "--help").stdout
    for word in (
        "TorchScript",
        ".pt2",
        "state dict",
        ".safetensors",
        "index.json",
        "--dtype",
        "--output",
    ):
        assert word in text


def test_old_archives_of_torch_export(out: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    module = module_of(hand.checkpoint(hand.captured()))
    torch.save(module.state_dict(), tmp_path / "state.pt")
    with zipfile.ZipFile(tmp_path / "old.pt2", "w") as archive:
        archive.writestr("version", "8.3")
        archive.write(tmp_path / "state.pt", "serialized_state_dict.pt")
    assert same(remap(out, tmp_path / "old.pt2"), load_file(out / "weights.safetensors"))
