"""Quantized weights: which layers, what the file holds, the command's and the script's choices, the emitted model."""

import importlib.util
import json
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import mlx.core as mx  # noqa: E402
import mlx.nn as nn  # noqa: E402
from mlx.utils import tree_flatten  # noqa: E402

from mlx_transpile import transpile  # noqa: E402
from mlx_transpile.codegen.quantize import _weights_read  # noqa: E402
from mlx_transpile.emitted_model import EmittedModel  # noqa: E402
from mlx_transpile.errors import BadRequest  # noqa: E402
from mlx_transpile.options import Options, check_options  # noqa: E402

LLAMA = Path(__file__).parents[2] / "generated" / "sources" / "llama.pt"
IDS = np.arange(6, dtype=np.int64).reshape(2, 3)


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(64)
        self.up = torch.nn.Linear(64, 128)
        self.down = torch.nn.Linear(128, 64)
        self.narrow = torch.nn.Linear(64, 40)
        self.wide = torch.nn.Linear(40, 64, bias=False)
        self.free = torch.nn.Parameter(torch.randn(64, 64) / 8)

    def forward(self, x):
        x = x + self.down(torch.nn.functional.gelu(self.up(self.norm(x)))) @ self.free
        return x + self.wide(torch.relu(self.narrow(x)))


class Tied(torch.nn.Module):
    """As GPT-2: the head is the embedding's weight. Two widths, one of which no group divides."""

    def __init__(self) -> None:
        super().__init__()
        self.wte = torch.nn.Embedding(50, 64)
        self.h = torch.nn.ModuleList([Block(), Block()])
        self.lm_head = torch.nn.Linear(64, 50, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, ids):
        x = self.wte(ids)
        for block in self.h:
            x = block(x)
        return self.lm_head(x)


class Scaled(torch.nn.Module):
    """The embedding's weight is read by the code itself."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(50, 64)
        self.fc = torch.nn.Linear(64, 64)

    def forward(self, ids):
        return self.fc(self.embed(ids)) @ (self.embed.weight * 0.5).t()


def archive(module: Any, path: Path) -> Path:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module().eval(), (torch.from_numpy(IDS),)).save(str(path))
    return path


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archive(Tied, tmp_path_factory.mktemp("tied") / "tied.pt")


@pytest.fixture(scope="module")
def plain(tied: Path) -> Path:
    """The float output."""
    transpile(tied, tied.parent / "plain")
    return tied.parent / "plain"


def script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_script(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "remap_weights.py"), *args]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def config(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())


def scales(path: Path) -> set[str]:
    return {k.removesuffix(".scales") for k in mx.load(str(path)) if k.endswith(".scales")}


ALL = {"wte", *(f"h.{i}.{name}" for i in range(2) for name in ("up", "down", "narrow"))}


# ---- the file


@pytest.mark.parametrize("bits", [8, 4, 3])
@pytest.mark.parametrize("group", [64, 32])
def test_weights_are_within_a_step(
    tied: Path, plain: Path, tmp_path: Path, bits: int, group: int
) -> None:
    result = transpile(tied, tmp_path / "out", quantize=f"{bits}:{group}", validate=True)
    assert result.ok
    assert config(tmp_path / "out")["quantization"] == {
        "group_size": group, "bits": bits, "mode": "affine",
    }  # fmt: skip
    got = mx.load(str(tmp_path / "out" / "weights.safetensors"))
    want = mx.load(str(plain / "weights.safetensors"))
    assert scales(tmp_path / "out" / "weights.safetensors") == ALL
    for name, weight in want.items():
        layer = name.removesuffix(".weight")
        if name != f"{layer}.weight" or layer not in ALL:
            assert mx.array_equal(got[name], weight)
            continue
        steps, biases = got[f"{layer}.scales"], got[f"{layer}.biases"]
        values = mx.dequantize(got[name], steps, biases, group, bits)
        # MLX moves the steps so that zero is one of them: a value may be off by a whole one.
        limit = 1.01 * mx.repeat(mx.abs(steps), group, axis=-1)
        assert values.shape == weight.shape
        assert mx.all(mx.abs(values - weight) <= limit).item()


def test_the_model_computes_what_the_dequantized_weights_give(tied: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = transpile(tied, out, quantize="4", validate=True).report
    assert report is not None and report.quantization is not None
    assert {n for n, _ in EmittedModel(out).quantized()} == ALL
    assert not EmittedModel(out).dequantize().quantized()
    assert report.max_abs < 1e-4
    ran = [case for case in report.cases if not case.unrunnable]
    errors = [d.max_rel for case in ran for _, d in case.against_source]
    assert errors and all(1e-3 < e < 0.5 for e in errors)
    names = {m.path for m in ran[0].modules}
    assert {"h.0.up", "wte", ""} <= names
    assert [m.path for m in ran[0].modules][-1] == ""  # in the order in which calls end
    text = (out / "report.md").read_text()
    assert "agrees with itself on the dequantized weights" in text
    assert "7 layers have 4 bits in groups of 64; 2 stay float" in text
    data = json.loads((out / "report.json").read_text())
    sizes = data["quantization"]
    assert sizes["weights_bytes"] == (out / "weights.safetensors").stat().st_size
    assert sizes["weights_bytes"] < sizes["float_weights_bytes"]
    assert data["cases"][0]["against_source"][0]["max_abs"] > 0
    script(out / "test_model.py").test_model()


def test_wrong_kernels_fail_validation(
    tied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = mx.quantized_matmul
    monkeypatch.setattr(mx, "quantized_matmul", lambda *a, **k: real(*a, **k) * 1.01)
    assert not transpile(tied, tmp_path / "out", quantize="4", validate=True).ok


def test_eight_bits_are_closer_and_four_are_smaller(tied: Path, tmp_path: Path) -> None:
    errors, sizes = {}, {}
    for bits in ("8", "4"):
        report = transpile(tied, tmp_path / bits, quantize=bits, validate=True).report
        assert report is not None and report.quantization is not None
        errors[bits] = max(d.max_abs for c in report.cases for _, d in c.against_source)
        sizes[bits] = report.quantization["weights_bytes"]
    assert errors["8"] * 5 < errors["4"]
    assert sizes["4"] < sizes["8"] < report.quantization["float_weights_bytes"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_scales_are_of_the_dtype(tied: Path, tmp_path: Path, dtype: str) -> None:
    result = transpile(tied, tmp_path / "out", quantize="4", dtype=dtype, validate=True)
    assert result.ok
    arrays = mx.load(str(tmp_path / "out" / "weights.safetensors"))
    assert {v.dtype for v in arrays.values()} == {mx.uint32, getattr(mx, dtype)}
    script(tmp_path / "out" / "test_model.py").test_model()
    own = tmp_path / "own.safetensors"
    script(tmp_path / "out" / "remap_weights.py").remap(tied, own)
    assert own.read_bytes() == (tmp_path / "out" / "weights.safetensors").read_bytes()


# ---- which layers


def test_what_stays_float_is_listed(tied: Path, tmp_path: Path) -> None:
    result = transpile(tied, tmp_path / "out", quantize="4")
    assert result.quantization is not None
    assert result.quantization.summary() == [
        "7 layers have 4 bits in groups of 64, 2 stay float:",
        "  h.{}.wide (2 layers): 64 does not divide 40",
    ]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["quantization"]["float_layers"]["h.0.wide"] == "64 does not divide 40"
    assert manifest["parameters"]["wte.weight"]["quantized"] is True
    assert "quantized" not in manifest["parameters"]["h.0.free"]


@pytest.mark.parametrize(
    ("keep", "float_layers"),
    [
        (["embeddings"], {"wte"}),
        (["head"], {"wte"}),  # tied: one tensor
        (["*.up", "h.1.*"], {"h.0.up", "h.1.up", "h.1.down", "h.1.narrow"}),
    ],
)
def test_keep_float(tied: Path, tmp_path: Path, keep: list[str], float_layers: set[str]) -> None:
    out = tmp_path / "out"
    assert transpile(tied, out, quantize="4", keep_float=keep, validate=True).ok
    assert scales(out / "weights.safetensors") == ALL - float_layers
    own = tmp_path / "own.safetensors"
    script(out / "remap_weights.py").remap(tied, own)  # its defaults are the choices made here
    assert own.read_bytes() == (out / "weights.safetensors").read_bytes()


def test_a_head_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert transpile(LLAMA, out, quantize="8:32", keep_float=["head"], validate=True).ok
    found = scales(out / "weights.safetensors")
    assert "lm_head" not in found
    assert "model.embed_tokens" in found
    assert not any("down_proj" in name for name in found)  # 32 does not divide 48


def test_widths_that_no_group_divides(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="64 does not divide 32, 64 does not divide 48") as error:
        transpile(LLAMA, tmp_path / "out", quantize="4")
    assert error.value.hint == "--quantize 4:32"
    assert not (tmp_path / "out").exists()


def test_a_weight_that_the_code_reads_stays_float(tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = archive(Scaled, tmp_path / "scaled.pt")
    result = transpile(path, out, quantize="4", validate=True)
    assert "embed.weight" in (out / "model.py").read_text()
    assert result.ok and result.quantization is not None
    assert result.quantization.layers == ("fc",)
    assert result.quantization.kept == {"embed": "model.py reads its weight itself"}
    own = tmp_path / "own.safetensors"
    script(out / "remap_weights.py").remap(path, own)
    assert own.read_bytes() == (out / "weights.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("self.weight + self.fc(x)", set()),
        ("x @ self.model.embed.weight.T", {("model", "embed")}),
        ("x @ self.h[0].fc.weight.T", {("h", "0", "fc")}),
        ("x @ self.h[i].fc.weight.T", {("fc",)}),
        ("x @ layer.weight.T", {()}),  # may be any layer
    ],
)
def test_weights_that_code_reads(code: str, found: set[tuple[str, ...]]) -> None:
    assert _weights_read(code) == found


# ---- the script


@pytest.mark.parametrize("choice", ["4", "8:32"])
def test_script_and_command_make_the_same_files(
    tied: Path, plain: Path, tmp_path: Path, choice: str
) -> None:
    transpile(tied, tmp_path / "out", quantize=choice)
    target = tmp_path / "own" / "weights.safetensors"
    target.parent.mkdir()
    done = run_script(plain, str(tied), "--quantize", choice, "-o", str(target))
    assert done.returncode == 0, done.stderr
    assert "stay float" in done.stdout and "h.{}.wide (2 layers)" in done.stdout
    for name in ("weights.safetensors", "config.json"):
        assert (target.parent / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    metadata = mx.load(str(target), return_metadata=True)[1]
    assert json.loads(metadata["config"]) == config(target.parent)
    assert "quantization" not in config(plain)
    # The same model.py for both.
    assert (plain / "model.py").read_text() == (tmp_path / "out" / "model.py").read_text()
    model = script(plain / "model.py").load(target.parent)
    assert model(mx.array(IDS)).shape == (2, 3, 50)


def test_float_weights_without_options_are_the_same_too(
    tied: Path, plain: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.safetensors"
    script(plain / "remap_weights.py").remap(tied, own)
    assert own.read_bytes() == (plain / "weights.safetensors").read_bytes()


def test_a_folder_changes_its_weights(tied: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    transpile(tied, out, quantize="4")
    four = (out / "weights.safetensors").read_bytes()
    text = (out / "config.json").read_text()
    assert run_script(out, str(tied), "--quantize", "none").returncode == 0
    assert "quantization" not in config(out)
    script(out / "test_model.py").test_model()
    # Weights that this script converted to float are as good a source.
    done = run_script(out, str(out / "weights.safetensors"), "--quantize", "4")
    assert done.returncode == 0, done.stderr
    assert (out / "weights.safetensors").read_bytes() == four
    assert (out / "config.json").read_text() == text
    script(out / "test_model.py").test_model()


def test_quantized_weights_pass_through(tied: Path, plain: Path, tmp_path: Path) -> None:
    own, again = tmp_path / "own.safetensors", tmp_path / "again.safetensors"
    module = script(plain / "remap_weights.py")
    module.remap(tied, own, quantize_to="4")
    module.remap(own, again)
    assert own.read_bytes() == again.read_bytes()
    module.remap(own, again, quantize_to="4")
    assert own.read_bytes() == again.read_bytes()
    for options in ({"quantize_to": "8"}, {"quantize_to": "4", "keep_float": "head"}, {"quantize_to": "none"}):  # fmt: skip
        with pytest.raises(
            module.Refused, match=r"it is quantized already .4 bits in groups of 64"
        ):
            module.remap(own, again, **options)


def test_broken_quantized_weights(tied: Path, plain: Path, tmp_path: Path) -> None:
    module = script(plain / "remap_weights.py")
    path, broken = tmp_path / "own.safetensors", tmp_path / "broken.safetensors"
    module.remap(tied, path, quantize_to="4")
    arrays, metadata = mx.load(str(path), return_metadata=True)
    del arrays["wte.biases"]
    arrays["h.0.up.scales"] = arrays["h.0.up.scales"][:, :0]
    arrays["other.weight"], arrays["other.scales"] = arrays["wte.weight"], mx.zeros((1,))
    mx.save_safetensors(str(broken), arrays, metadata)
    with pytest.raises(module.Refused) as error:
        module.remap(broken, tmp_path / "x.safetensors")
    for line in ("missing: wte.biases", "wrong shape: h.0.up.scales", "surprising: other.scales"):
        assert line in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"quantization": 4}', '{"quantization": {"bits": 7, "group_size": 64}}'],
)
def test_quantized_weights_that_do_not_say_how(
    tied: Path, plain: Path, tmp_path: Path, text: str
) -> None:
    module = script(plain / "remap_weights.py")
    path, broken = tmp_path / "own.safetensors", tmp_path / "broken.safetensors"
    module.remap(tied, path, quantize_to="4")
    arrays, metadata = mx.load(str(path), return_metadata=True)
    mx.save_safetensors(str(broken), arrays, {**metadata, "config": text})
    with pytest.raises(module.Refused, match="does not say how"):
        module.remap(broken, tmp_path / "x.safetensors")


def test_a_checkpoint_that_another_tool_quantized_is_refused(plain: Path, tmp_path: Path) -> None:
    module = script(plain / "remap_weights.py")
    model = script(plain / "model.py").load(plain)
    nn.quantize(model, 64, 4, class_predicate=lambda n, m: n == "wte")
    foreign = tmp_path / "foreign.safetensors"
    mx.save_safetensors(str(foreign), dict(tree_flatten(model.parameters())))
    with pytest.raises(
        module.Refused, match=r"it is quantized already .wte for one.; give the float"
    ):
        module.remap(foreign, tmp_path / "x.safetensors")


def test_config_of_another_model_is_left_alone(tied: Path, plain: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"other": 1}')
    done = run_script(plain, str(tied), "--quantize", "4", "-o", str(tmp_path / "weights.safetensors"))  # fmt: skip
    assert done.returncode == 1
    assert "is that of another model" in done.stderr
    assert not (tmp_path / "weights.safetensors").exists()
    assert (tmp_path / "config.json").read_text() == '{"other": 1}'


# ---- what cannot be


WRONG = ["x", "", "5:48", "7", "16", "4:", ":64", "4:64:1", "-4", "4:0", "4 64", "4.0", "٤"]


@pytest.mark.parametrize("text", WRONG)
def test_wrong_choices(plain: Path, tied: Path, text: str) -> None:
    with pytest.raises(BadRequest, match="is no BITS or BITS:GROUP that MLX has") as error:
        check_options(Options(quantize=text), "out")
    assert "2, 3, 4, 5, 6 or 8" in error.value.hint
    module = script(plain / "remap_weights.py")
    with pytest.raises(module.Refused, match="--quantize"):
        module.remap(tied, plain / "x.safetensors", quantize_to=text)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--quantize", "5:48"], "--quantize 5:48: give 2, 3, 4, 5, 6 or 8 bits"),
        (["--quantize", "4", "--keep-float", "nothing"], "no layer is called nothing"),
        (["--keep-float", "head"], "all stays float without --quantize"),
        (["--quantize", "4:128", "--keep-float", "*.down"], "no layer can be quantized"),
    ],
)
def test_the_script_refuses_in_one_line(
    tied: Path, plain: Path, args: list[str], message: str
) -> None:
    done = run_script(plain, str(tied), *args)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_float": ["head"]}, "all stays float"),
        ({"quantize": "4", "keep_float": ["nothing"]}, "no layer is called 'nothing'"),
    ],
)
def test_wrong_layers(tied: Path, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        transpile(tied, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_depth_does_not_change_the_script(tmp_path: Path) -> None:
    texts = set()
    for depth in (2, 4):

        class Deep(Tied):
            def __init__(self, depth: int = depth) -> None:
                super().__init__()
                self.h = torch.nn.ModuleList([Block() for _ in range(depth)])

        path = archive(Deep, tmp_path / f"{depth}.pt")
        transpile(path, tmp_path / f"{depth}", quantize="4", no_weights=True, name="Deep")
        texts.add((tmp_path / f"{depth}" / "remap_weights.py").read_text())
    if len(texts) > 1:  # digests name the tensors that the rules make, not their number
        first, second = (t.splitlines() for t in texts)
        assert [a for a, b in zip(first, second, strict=True) if a != b] == []
