"""Weights that an ONNX file holds as whole numbers stay so: what is packed, what is not, and why."""

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import black
import mlx.core as mx
import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import ml_dtypes
import onnx
from onnx import helper, numpy_helper

from mlx_transpile import Result, TranspileError, cpp_build, transpile, validate_cpp
from mlx_transpile.emitted_model import EmittedModel
from mlx_transpile.errors import BadRequest

FLOAT, INT = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
CONTRIB = "com.microsoft"
rng = np.random.default_rng(0)


class Model:
    """An ONNX model that grows line by line."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []

    def tensor(self, name: str, array: Any, kind: int | None = None) -> str:
        if kind is None:
            self.tensors.append(numpy_helper.from_array(np.asarray(array), name))
        else:
            self.tensors.append(helper.make_tensor(name, kind, array.shape, array))
        return name

    def node(self, op: str, inputs: list[str], output: str, name: str = "", **attrs: Any) -> str:
        domain = CONTRIB if op in ("MatMulNBits", "GatherBlockQuantized") else ""
        self.nodes.append(helper.make_node(op, inputs, [output], name, domain=domain, **attrs))
        return output

    def bits(
        self,
        x: str,
        path: str,
        out: int,
        width: int,
        bits: int = 4,
        block: int = 32,
        zeros: bool = True,
    ) -> str:
        """A MatMulNBits with random numbers, named as tools name them."""
        blocks, name = -(-width // block), path.strip("/").replace("/", ".")
        packed = rng.integers(0, 256, (out, blocks, block * bits // 8), np.uint8)
        scales = rng.uniform(0.5, 1.5, (out, blocks)).astype(np.float32) / (2**bits * width**0.5)
        inputs = [x, self.tensor(f"{name}.weight_Q{bits}", packed)]
        inputs.append(self.tensor(f"{name}.weight_scales", scales))
        if zeros:
            count = -(-blocks * bits // 8)
            points = rng.integers(0, 256, (out, count), np.uint8)
            inputs.append(self.tensor(f"{name}.weight_zero_points", points))
        attrs = {"K": width, "N": out, "bits": bits, "block_size": block}
        return self.node("MatMulNBits", inputs, f"{name}.out", f"{path}/MatMul_Q{bits}", **attrs)

    def save(self, path: Path, x: Any, y: str) -> Path:
        shape, kind = (["batch", x], FLOAT) if isinstance(x, int) else (["batch", "seq"], INT)
        graph = helper.make_graph(
            self.nodes, "Net", [helper.make_tensor_value_info("x", kind, shape)],
            [helper.make_tensor_value_info(y, FLOAT, None)], self.tensors,
        )  # fmt: skip
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid(CONTRIB, 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
        return path


def whole(model: Model, name: str, shape: tuple[int, ...], kind: str) -> tuple[str, np.ndarray]:
    """Random whole numbers of a type, as a tensor of the model."""
    bits, signed = int(kind.strip("uint")), kind[0] == "i"
    low = -(2 ** (bits - 1)) if signed else 0
    array = rng.integers(low, low + 2**bits, shape)
    types = {4: (ml_dtypes.int4, ml_dtypes.uint4), 8: (np.int8, np.uint8)}[bits]
    return model.tensor(name, array.astype(types[not signed])), array


def dequantize(
    model: Model, kind: str, out: int, width: int, scales: tuple[int, ...], block: int, zeros: bool
) -> np.ndarray:
    """x times a weight [width, out] behind DequantizeLinear; gives the weight in floats."""
    name, values = whole(model, "fc.weight_quantized", (width, out), kind)
    steps = rng.uniform(0.5, 1.5, scales).astype(np.float32) / (2 ** int(kind.strip("uint")))
    inputs = [name, model.tensor("fc.weight_scale", steps)]
    points = np.zeros((), np.int64)
    if zeros:
        point, points = whole(model, "fc.weight_zero_point", scales, kind)
        inputs.append(point)
    attrs = {"axis": 0, "block_size": block} if block else {"axis": 1}
    model.node("DequantizeLinear", inputs, "w", **attrs)
    model.node("MatMul", ["x", "w"], "y", "/fc/MatMul")
    if block:
        steps = steps.repeat(block, 0)[:width]
        points = points.repeat(block, 0)[:width] if zeros else points
    return (values - points).astype(np.float32) * steps


def stored(out: Path) -> dict[str, Any]:
    return mx.load(str(out / "weights.safetensors"))


def floats(out: Path, layer: str) -> np.ndarray:
    """What a packed layer of the output stands for."""
    arrays = stored(out)
    weight, scales, biases = (arrays[f"{layer}.{p}"] for p in ("weight", "scales", "biases"))
    config = json.loads((out / "config.json").read_text())["quantization"]
    how = {**config, **config.get(layer, {})}
    return np.array(mx.dequantize(weight, scales, biases, how["group_size"], how["bits"]))


def converted(model: Path, out: Path, *args: str) -> Path:
    """What remap_weights.py makes of the model, without any ONNX library."""
    target = out.parent / "own.safetensors"
    code = "import sys; sys.modules.update(onnx=None, onnx_ir=None, torch=None, numpy=None);"
    code += (
        "import runpy; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    script = [str(out / "remap_weights.py"), str(model), "-o", str(target), *args]
    done = subprocess.run([sys.executable, "-c", code, *script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def packed(model: Path, tmp_path: Path, **options: Any) -> tuple[Path, Result]:
    """The output, which agrees with the model, and with what its own script makes."""
    out = tmp_path / "out"
    result = transpile(model, out, validate=True, **options)
    assert result.ok and result.report is not None
    made = converted(model, out)
    assert made.read_bytes() == (out / "weights.safetensors").read_bytes()
    return out, result


# ---- what is packed


BLOCKS = {
    "4 bits": ({"bits": 4, "block": 32}, 32),
    "4 bits, no zero points": ({"bits": 4, "block": 64, "zeros": False}, 64),
    "4 bits, an odd number of blocks": ({"bits": 4, "block": 128, "width": 384}, 128),
    "8 bits": ({"bits": 8, "block": 32}, 32),
    "2 bits": ({"bits": 2, "block": 64}, 64),
    "blocks larger than any group": ({"bits": 4, "block": 256, "width": 512}, 128),
    "one block, cut off": ({"bits": 4, "block": 256, "width": 96}, 32),
}


@pytest.mark.parametrize(("weight", "group"), BLOCKS.values(), ids=BLOCKS)
def test_blocks_are_groups(tmp_path: Path, weight: dict[str, Any], group: int) -> None:
    model, given = Model(), {"width": 128, **weight}
    y = model.bits("x", "/fc", 40, **given)
    path = model.save(tmp_path / "m.onnx", given["width"], y)
    out, result = packed(path, tmp_path)
    assert result.quantization is not None and result.quantization.own
    assert result.quantization.config == {
        "group_size": group, "bits": weight["bits"], "mode": "affine",
    }  # fmt: skip
    assert result.report is not None and result.report.max_abs < 1e-5
    assert {n for n, _ in EmittedModel(out).quantized()} == {"fc"}
    float_model = transpile(path, tmp_path / "float", quantize="none", validate=True)
    assert float_model.ok and not EmittedModel(tmp_path / "float").quantized()
    want = np.array(stored(tmp_path / "float")["fc.weight"])
    np.testing.assert_allclose(floats(out, "fc"), want, atol=1e-6)


LINEAR = {
    "int4 in blocks": ("int4", 128, (4, 24), 32, False),
    "uint4 in blocks": ("uint4", 128, (4, 24), 32, True),
    "int8 in blocks": ("int8", 128, (2, 24), 64, True),
    "int8, a scale for each output": ("int8", 96, (24,), 0, False),
    "uint8, a scale for each output": ("uint8", 64, (24,), 0, True),
    "uint8, one scale": ("uint8", 64, (), 0, True),
}


@pytest.mark.parametrize(("kind", "width", "scales", "block", "zeros"), LINEAR.values(), ids=LINEAR)
def test_dequantized_matrices_are_packed(
    tmp_path: Path, kind: str, width: int, scales: tuple[int, ...], block: int, zeros: bool
) -> None:
    model = Model()
    want = dequantize(model, kind, 24, width, scales, block, zeros)
    out, result = packed(model.save(tmp_path / "m.onnx", width, "y"), tmp_path)
    assert result.quantization is not None
    assert result.quantization.bits == int(kind.strip("uint"))
    np.testing.assert_allclose(floats(out, "fc"), want.T, atol=1e-5)
    assert "nn.Linear(" in (out / "model.py").read_text()


def test_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    """Not a bit is packed anew."""
    model = Model()
    y = model.bits("x", "/fc", 8, 64, bits=4, block=32)
    out, _ = packed(model.save(tmp_path / "m.onnx", 64, y), tmp_path)
    given = {t.name: numpy_helper.to_array(t) for t in model.tensors}
    words = np.array(stored(out)["fc.weight"])
    assert words.tobytes() == given["fc.weight_Q4"].tobytes()
    assert np.array_equal(np.array(stored(out)["fc.scales"]), given["fc.weight_scales"])


def lookup(kind: str) -> Callable[[Model], str]:
    def make(model: Model) -> str:
        if kind == "bytes":
            table = model.tensor("embed.weight_Q4", rng.integers(0, 256, (50, 32), np.uint8))
            points = model.tensor("embed.weight_zp", rng.integers(0, 256, (50, 1), np.uint8))
        else:
            table, points = (
                whole(model, f"embed.weight_{n}", s, kind)[0] for n, s in (("Q4", (50, 64)), ("zp", (50, 2)))
            )  # fmt: skip
        scales = model.tensor("embed.scales", rng.uniform(0.1, 1, (50, 2)).astype(np.float32))
        attrs: dict[str, Any] = {"block_size": 32, "gather_axis": 0, "quantize_axis": 1}
        attrs |= {"bits": 4} if kind == "bytes" else {}
        inputs = [table, "x", scales, points]
        return model.node("GatherBlockQuantized", inputs, "y", "/embed/Gather_Q4", **attrs)

    return make


def gathered(model: Model) -> str:
    """As dynamic quantization writes it: bytes are gathered, and then become floats."""
    table = model.tensor("embed.weight_quantized", rng.integers(0, 256, (50, 64), np.uint8))
    model.node("Gather", [table, "x"], "rows", "/embed/Gather")
    scale, zero = model.tensor("scale", np.float32(0.01)), model.tensor("zero", np.uint8(120))
    return model.node("DequantizeLinear", ["rows", scale, zero], "y")


TABLES = {"uint4": lookup("uint4"), "bytes": lookup("bytes"), "gathered": gathered}


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_tables_are_packed(tmp_path: Path, make: Callable[[Model], str]) -> None:
    model = Model()
    out, result = packed(model.save(tmp_path / "m.onnx", "ids", make(model)), tmp_path)
    assert result.quantization is not None and result.quantization.layers == ("embed",)
    assert "nn.Embedding(" in (out / "model.py").read_text()


def test_a_head_may_share_the_table(tmp_path: Path) -> None:
    model = Model()
    scales = rng.uniform(0.5, 1.5, (50, 2)).astype(np.float32) / 500
    model.tensor("lm_head.MatMul.weight_Q8", rng.integers(0, 256, (50, 2, 32), np.uint8))
    model.tensor("lm_head.MatMul.weight_scales", scales.reshape(-1))
    model.tensor("lm_head.MatMul.weight_zp", rng.integers(90, 160, 100, np.uint8))
    names = [f"lm_head.MatMul.weight_{part}" for part in ("Q8", "scales", "zp")]
    for name, shape in zip(names, ((50, 64), (50, 2), (50, 2))):
        size = model.tensor(f"{name}.shape", np.array(shape, np.int64))
        model.node("Reshape", [name, size], f"{name}.table", f"/embed_tokens/{name}")
    table, steps, points = (f"{name}.table" for name in names)
    attrs = {"bits": 8, "block_size": 32, "gather_axis": 0, "quantize_axis": 1}
    inputs = [table, "x", steps, points]
    h = model.node("GatherBlockQuantized", inputs, "h", "/embed_tokens/Gather", **attrs)
    h = model.bits(model.node("Tanh", [h], "t", "/Tanh"), "/fc", 64, 64)
    attrs = {"K": 64, "N": 50, "bits": 8, "block_size": 32}
    y = model.node("MatMulNBits", [h, *names], "y", "/lm_head/MatMul_Q8", **attrs)
    out, result = packed(model.save(tmp_path / "m.onnx", "ids", y), tmp_path)
    assert ".as_linear(" in (out / "model.py").read_text()
    assert result.quantization is not None
    assert result.quantization.layers == ("embed_tokens", "fc")
    assert sum(name.endswith(".scales") for name in stored(out)) == 2


# ---- what is not, and why


def odd(model: Model) -> str:
    return model.bits("x", "/fc", 8, 96, block=16)


def narrow(model: Model) -> str:
    dequantize(model, "int8", 8, 40, (8,), 0, False)
    return "y"


def by_input(model: Model) -> str:
    """A scale for each input of the layer."""
    name, _ = whole(model, "fc.weight_quantized", (64, 8), "int8")
    scales = model.tensor("s", rng.uniform(0.001, 0.01, 64).astype(np.float32))
    model.node("DequantizeLinear", [name, scales], "w", axis=0)
    return model.node("MatMul", ["x", "w"], "y", "/fc/MatMul")


def by_output_blocks(model: Model) -> str:
    name, _ = whole(model, "fc.weight_quantized", (64, 64), "int8")
    scales = model.tensor("s", rng.uniform(0.001, 0.01, (64, 2)).astype(np.float32))
    model.node("DequantizeLinear", [name, scales], "w", axis=1, block_size=32)
    return model.node("MatMul", ["x", "w"], "y", "/fc/MatMul")


def wide(model: Model) -> str:
    weight = rng.integers(-30000, 30000, (64, 8), np.int16)
    scale = model.tensor("s", np.float32(1e-5))
    model.node("DequantizeLinear", [model.tensor("fc.weight_quantized", weight), scale], "w")
    return model.node("MatMul", ["x", "w"], "y", "/fc/MatMul")


def factor(model: Model) -> str:
    """No layer: the matrix is added."""
    name, _ = whole(model, "table_quantized", (1, 64), "int8")
    model.node("DequantizeLinear", [name, model.tensor("s", np.float32(0.01))], "w")
    return model.node("Add", ["x", "w"], "y")


FLOATS = {
    "blocks of 16": (odd, 96, "32 does not divide its blocks of 16"),
    "a width of 40": (narrow, 40, "32 does not divide its 40 inputs"),
    "a scale for each input": (by_input, 64, "its scales do not follow the inputs of a row"),
    "blocks of outputs": (by_output_blocks, 64, "its scales do not follow the inputs of a row"),
    "16 bits": (wide, 64, "it has 16 bits"),
    "no layer": (factor, 64, "it is no weight of a linear or embedding layer"),
}


@pytest.mark.parametrize(("make", "width", "reason"), FLOATS.values(), ids=FLOATS)
def test_what_does_not_fit_is_float_and_said(
    tmp_path: Path, make: Callable[[Model], str], width: int, reason: str
) -> None:
    model = Model()
    path = model.save(tmp_path / "m.onnx", width, make(model))
    out, result = packed(path, tmp_path)
    assert result.quantization is None
    assert not any(name.endswith(".scales") for name in stored(out))
    line = f"1 weight is floats here, whole numbers in the source: {reason}"
    assert line in (out / "report.md").read_text()
    assert line in str(transpile(path, None, check=True).plan)
    told = json.loads((out / "manifest.json").read_text())["integers"]
    assert any(text.startswith(line) for text in told)


def test_numbers_of_3_bits_are_refused(tmp_path: Path) -> None:
    model = Model()
    model.tensor("w", rng.integers(0, 256, (8, 2, 12), np.uint8))
    model.tensor("s", np.ones((8, 2), np.float32))
    attrs = {"K": 64, "N": 8, "bits": 3, "block_size": 32}
    y = model.node("MatMulNBits", ["x", "w", "s"], "y", **attrs)
    with pytest.raises(TranspileError, match="weights of 3 bits"):
        transpile(model.save(tmp_path / "m.onnx", 64, y), tmp_path / "out")


def test_results_of_4_bits_are_refused(tmp_path: Path) -> None:
    model = Model()
    zero = model.tensor("z", np.array(0, ml_dtypes.int4))
    scale = model.tensor("s", np.float32(0.1))
    model.node("QuantizeLinear", ["x", scale, zero], "q")
    y = model.node("DequantizeLinear", ["q", scale, zero], "y")
    with pytest.raises(TranspileError, match="QuantizeLinear to 4 bits"):
        transpile(model.save(tmp_path / "m.onnx", 64, y), tmp_path / "out")


# ---- several layers


def layers(count: int, path: Path) -> Path:
    """Blocks of two layers of 4 bits, and a head of 8."""
    model, x = Model(), "x"
    for i in range(count):
        h = model.bits(x, f"/layers.{i}/up", 128, 64)
        h = model.node("Relu", [h], f"r{i}", f"/layers.{i}/Relu")
        h = model.bits(h, f"/layers.{i}/down", 64, 128)
        x = model.node("Add", [x, h], f"x{i}", f"/layers.{i}/Add")
    return model.save(path, 64, model.bits(x, "/head", 10, 64, bits=8, block=64))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    return packed(layers(3, folder / "m.onnx"), folder)[0]


def test_layers_of_other_bits_are_stated_one_by_one(mixed: Path) -> None:
    config = json.loads((mixed / "config.json").read_text())
    assert config["quantization"] == {
        "group_size": 32, "bits": 4, "mode": "affine", "head": {"group_size": 64, "bits": 8},
    }  # fmt: skip
    assert "[Layer(args) for _ in range(args.num_hidden_layers)]" in (
        (mixed / "model.py").read_text()
    )
    report = (mixed / "report.md").read_text()
    assert "The emitted model agrees with its source" in report
    assert "6 layers have 4 bits in groups of 32 as the source has them; 1 layer has 8" in report
    sizes = json.loads((mixed / "report.json").read_text())["quantization"]
    assert sizes["weights_bytes"] == (mixed / "weights.safetensors").stat().st_size
    assert sizes["weights_bytes"] * 4 < sizes["float_weights_bytes"]


def test_the_script_does_not_grow_with_layers(mixed: Path, tmp_path: Path) -> None:
    out, _ = packed(layers(5, tmp_path / "m.onnx"), tmp_path)
    for name in ("remap_weights.py", "model.py"):
        assert len((out / name).read_text()) == len((mixed / name).read_text())


CHOICES: dict[str, tuple[dict[str, Any], dict[str, tuple[int, int]]]] = {
    "floats": ({"quantize": "none"}, {}),
    "anew": ({"quantize": "8:64"}, dict.fromkeys(["up", "down", "head"], (8, 64))),
    "some": ({"keep_float": ["*.up", "head"]}, {"down": (4, 32)}),
    "half": ({"dtype": "float16"}, {"up": (4, 32), "down": (4, 32), "head": (8, 64)}),
}


@pytest.mark.parametrize(("options", "expected"), CHOICES.values(), ids=CHOICES)
def test_what_may_be_asked_for(
    mixed: Path, tmp_path: Path, options: dict[str, Any], expected: dict[str, tuple[int, int]]
) -> None:
    out, _ = packed(mixed.parent / "m.onnx", tmp_path, **options)
    found = {n.rpartition(".")[2]: (m.bits, m.group_size) for n, m in EmittedModel(out).quantized()}
    assert found == expected


def test_the_script_has_the_choices_too(mixed: Path, tmp_path: Path) -> None:
    model = mixed.parent / "m.onnx"
    own = (mixed / "weights.safetensors").read_bytes()
    for args, options in (
        (["--quantize", "none"], {"quantize": "none"}),
        (["--keep-float", "head"], {"keep_float": ["head"]}),
        (["--quantize", "4:64"], {"quantize": "4:64"}),
    ):
        transpile(model, tmp_path / "out", **options)
        made = converted(model, mixed, *args)
        assert made.read_bytes() == (tmp_path / "out" / "weights.safetensors").read_bytes()
    # The output has its defaults: floats in one, what the source has in the other.
    transpile(model, tmp_path / "out", quantize="none")
    made = converted(model, tmp_path / "out", "--quantize", "source")
    assert made.read_bytes() == own
    again = converted(mixed / "weights.safetensors", mixed)
    assert again.read_bytes() == own


def test_the_script_is_formatted(mixed: Path) -> None:
    text = (mixed / "remap_weights.py").read_text()
    assert black.format_str(text, mode=black.Mode()) == text


def test_nothing_to_keep_float(tmp_path: Path) -> None:
    model = Model()
    path = model.save(tmp_path / "m.onnx", 40, narrow(model))
    with pytest.raises(BadRequest, match="all stays float"):
        transpile(path, tmp_path / "out", keep_float=["head"])


# ---- layers whose input is rounded while the model runs


def test_dynamic_quantization_is_a_layer_behind_a_rounding(tmp_path: Path) -> None:
    model, x = Model(), "x"
    for name in ("up", "down"):
        outputs = [f"{name}.{part}" for part in ("q", "scale", "zero")]
        model.nodes.append(helper.make_node("DynamicQuantizeLinear", [x], outputs))
        weight, _ = whole(model, f"{name}.weight_quantized", (64, 64), "int8")
        zero = model.tensor(f"{name}.weight_zero_point", np.zeros(64, np.int8))
        scale = model.tensor(
            f"{name}.weight_scale", rng.uniform(0.001, 0.002, 64).astype(np.float32)
        )
        inputs = [outputs[0], weight, outputs[2], zero]
        whole_product = model.node("MatMulInteger", inputs, f"{name}.i", f"/{name}/MatMul_quant")
        model.node("Cast", [whole_product], f"{name}.f", to=FLOAT)
        model.node("Mul", [outputs[1], scale], f"{name}.s")
        x = model.node("Mul", [f"{name}.f", f"{name}.s"], f"{name}.out")
    out, result = packed(model.save(tmp_path / "m.onnx", 64, x), tmp_path)
    source = (out / "model.py").read_text()
    assert "return self.down(round_to_bytes(self.up(round_to_bytes(x))))" in source
    assert result.quantization is not None and result.quantization.layers == ("down", "up")
    assert "its last bit decides" in (out / "report.md").read_text()


# ---- C++


@pytest.mark.skipif(
    cpp_build.find_compiler() is None or cpp_build.find_mlx() is None,
    reason="needs a C++ compiler and the headers of the mlx package",
)
def test_cpp_reads_the_same_layers(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ways of packing in one model."""
    quick = functools.partial(cpp_build.build, build_type="Debug")
    monkeypatch.setattr(validate_cpp, "build", quick)
    out = tmp_path / "out"
    result = transpile(mixed.parent / "m.onnx", out, emit=("python", "cpp"), validate=True)
    assert result.report is not None and result.report.cpp is not None
    assert not result.report.cpp.build.missing and result.report.cpp.judge_source
    assert result.ok and result.report.cpp.largest("python") < 1e-6
