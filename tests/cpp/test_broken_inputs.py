"""Broken files and arguments: the program says in one line what is wrong, and ends with 1 or 2.

A row changes a good set of files (weights, inputs, arguments) in one way; then come the words that
the message must hold, and the status where it is not 1.
"""

import json
import os
import re
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

Q = "model.layers.0.self_attn.q_proj.weight"
NORM = "model.norm.weight"
EMBED = "model.embed_tokens.weight"
CONV = "conv1.weight"
OVERFLOW = "heads whose product overflows"
SANITIZE = os.environ.get("SANITIZE")  # as in conftest.py
STEM = "model.layers.1.mlp.down_proj.weight"


@dataclass
class Files:
    """What a program reads. A part that is set to bytes is written as they are."""

    folder: Path
    tensors: dict[str, np.ndarray]
    config: Any  # written as JSON; a string as it is; None: no metadata
    inputs: dict[str, np.ndarray]
    flags: dict[str, str | None]
    rest: list[str] = field(default_factory=list)  # of the arguments
    spoil: list[tuple[str, Callable[[bytes], bytes]]] = field(default_factory=list)

    def arguments(self) -> list[str]:
        return [p for k, v in self.flags.items() if v is not None for p in (k, v)] + self.rest

    def write(self) -> None:
        text = self.config if isinstance(self.config, str) else json.dumps(self.config)
        metadata = None if self.config is None else {"config": text}
        save_file(self.tensors, self.folder / "weights.safetensors", metadata)
        save_file(self.inputs, self.folder / "inputs.safetensors")
        for name, change in self.spoil:
            path = self.folder / f"{name}.safetensors"
            path.write_bytes(change(path.read_bytes()))


Change = Callable[[Files], object]


# ---- changes


def drop(name: str) -> Change:
    return lambda f: f.tensors.pop(name)


def tensor(name: str, change: Callable[[np.ndarray], Any]) -> Change:
    """The tensor, or a new one, becomes what `change` makes of it (None where it is new)."""
    return lambda f: f.tensors.update(
        {name: np.ascontiguousarray(change(f.tensors.get(name)))}  # type: ignore[arg-type]
    )


def config(**values: Any) -> Change:
    return lambda f: f.config.update(values)


def without(key: str) -> Change:
    return lambda f: f.config.pop(key)


def config_text(text: str | None) -> Change:
    return lambda f: setattr(f, "config", text)


def ids(value: Any, dtype: Any = np.int64) -> Change:
    return lambda f: f.inputs.update(input_ids=np.asarray(value, dtype))


def image(*shape: int, dtype: Any = np.float32) -> Change:
    return lambda f: f.inputs.update(x=np.zeros(shape, dtype))


def inputs(**arrays: Any) -> Change:
    return lambda f: setattr(f, "inputs", {k: np.asarray(v) for k, v in arrays.items()})


def flag(name: str, value: str | None) -> Change:
    return lambda f: f.flags.update({name: value})


def rest(*arguments: str) -> Change:
    return lambda f: f.rest.extend(arguments)


def both(*changes: Change) -> Change:
    return lambda f: [change(f) for change in changes]


def spoil(change: Callable[[bytes], bytes], name: str = "weights") -> Change:
    return lambda f: f.spoil.append((name, change))


def cut(keep: int, name: str = "weights") -> Change:
    """Only the first bytes; a negative number leaves out that many at the end."""
    return spoil(lambda data: data[:keep], name)


def length(value: int, name: str = "weights") -> Change:
    """The length that the file states for its header."""
    return spoil(lambda data: struct.pack("<Q", value % 2**64) + data[8:], name)


def parts(data: bytes) -> tuple[str, bytes]:
    size = int.from_bytes(data[:8], "little")
    return data[8 : 8 + size].decode(), data[8 + size :]


def joined(header: str | bytes, rest: bytes) -> bytes:
    header = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(header)) + header + rest


def header_text(change: Callable[[str], str | bytes], name: str = "weights") -> Change:
    return spoil(lambda data: joined(change(parts(data)[0]), parts(data)[1]), name)


def header(change: Callable[[dict[str, Any]], object], name: str = "weights") -> Change:
    def changed(text: str) -> str:
        value = json.loads(text)
        change(value)
        return json.dumps(value)

    return header_text(changed, name)


def entry(tensor: str, name: str = "weights", **values: Any) -> Change:
    """Values of a tensor's entry in the header; None takes one out."""

    def change(value: dict[str, Any]) -> None:
        of_tensor = value[tensor]
        of_tensor.update(values)
        for key in [k for k, v in values.items() if v is None]:
            del of_tensor[key]

    return header(change, name)


def offsets(tensor: str, change: Callable[[int, int], list[Any]]) -> Change:
    def changed(value: dict[str, Any]) -> None:
        value[tensor]["data_offsets"] = change(*value[tensor]["data_offsets"])

    return header(changed)


def twice(text: str) -> str:
    """The header with the entry of NORM a second time, under the same name."""
    of_norm = json.dumps(json.loads(text)[NORM])
    return f'{text.rstrip()[:-1]}, "{NORM}": {of_norm}}}'


def quantized(group: int = 32, bits: int = 8, stated: Any = None, **changes: Any) -> Change:
    """One projection in packed integers; `changes` are of its three tensors (None: left out)."""

    def change(f: Files) -> None:
        name = Q.removesuffix(".weight")
        rows, columns = f.tensors[Q].shape
        made = {
            "weight": np.zeros((rows, columns * bits // 32), np.uint32),
            "scales": np.ones((rows, columns // group), np.float32),
            "biases": np.zeros((rows, columns // group), np.float32),
        }
        for part, value in {**made, **changes}.items():
            f.tensors.pop(f"{name}.{part}", None)
            if value is not None:
                f.tensors[f"{name}.{part}"] = value
        f.config["quantization"] = {"bits": bits, "group_size": group} if stated is None else stated

    return change


# ---- rows: what is done, to the model, what must be said, and the status


LLAMA_TENSORS = [
    *((f"without {n}", drop(n), f"no tensor '{n}'") for n in (Q, NORM, EMBED, STEM, "lm_head.weight")),
    ("no tensors", lambda f: f.tensors.clear(), "no tensor '"),
    ("one more tensor", tensor("surplus", lambda _: np.zeros(3, np.float32)), "'surplus'"),
    ("one more layer", tensor("model.layers.2.mlp.up_proj.weight", lambda _: np.zeros((48, 32), np.float32)), "'model.layers.2.mlp.up_proj.weight'"),
    ("a bias where there is none", tensor("lm_head.bias", lambda _: np.zeros(64, np.float32)), "'lm_head.bias'"),
    ("a wrong width", tensor(Q, lambda x: x[:, 1:]), f"'{Q}' is float32 \\(32, 31\\), expected float32 \\(32, 32\\)"),
    ("a wrong height", tensor(STEM, lambda x: x[1:]), f"'{STEM}' is .*\\(31, 48\\)"),
    ("transposed", tensor(STEM, lambda x: x.T), f"'{STEM}' is .*\\(48, 32\\)"),
    ("a rank more", tensor(Q, lambda x: x[None]), f"'{Q}' is .*\\(1, 32, 32\\)"),
    ("a rank less", tensor(Q, lambda x: x.ravel()), f"'{Q}' is .*\\(1024\\)"),
    ("a scalar", tensor(NORM, lambda x: np.float32(1).reshape(())), f"'{NORM}' is"),
    ("an empty tensor", tensor(NORM, lambda x: x[:0]), f"'{NORM}' is float32 \\(0\\)"),
    *((f"{np.dtype(t).name} for floats", tensor(NORM, lambda x, t=t: x.astype(t)), f"'{NORM}'") for t in (np.int32, np.int8, np.uint64, bool, np.float64, np.complex64)),
    ("float8", tensor(NORM, lambda x: x.astype(ml_dtypes.float8_e4m3fn)), f"'{NORM}'"),
]  # fmt: skip

RESNET_TENSORS = [
    ("without a kernel", drop(CONV), f"no tensor '{CONV}'"),
    ("without a running mean", drop("bn1.running_mean"), "'bn1.running_mean'"),
    ("a kernel of another size", tensor(CONV, lambda x: x[:, 1:]), f"'{CONV}' is"),
    ("a kernel with another order of axes", tensor(CONV, lambda x: x.transpose(0, 3, 1, 2)), f"'{CONV}' is"),
    ("a kernel of integers", tensor(CONV, lambda x: x.astype(np.int32)), f"'{CONV}' is int32"),
    ("a bias of a wrong size", tensor("fc.bias", lambda x: x[1:]), "'fc.bias' is float32 \\(9\\)"),
]  # fmt: skip

QUANTIZED = [
    ("scales without biases", quantized(biases=None), "q_proj.biases'"),
    ("biases without scales", quantized(scales=None), "'model.layers.0.self_attn.q_proj.weight' is uint32"),
    ("scales of a wrong shape", quantized(scales=np.ones((32, 2), np.float32)), "q_proj.scales' is"),
    ("scales of integers", quantized(scales=np.ones((32, 1), np.int32)), "q_proj.scales' is int32"),
    ("biases of a wrong shape", quantized(biases=np.ones((31, 1), np.float32)), "q_proj.biases' is"),
    ("packed weights of a wrong width", quantized(weight=np.zeros((32, 9), np.uint32)), "q_proj.weight' is uint32"),
    ("weights not packed", quantized(weight=np.zeros((32, 32), np.float32)), "q_proj.weight' is float32"),
    ("no quantization stated", quantized(stated=[]), "quantization"),
    ("no bits stated", quantized(stated={"group_size": 32}), "quantization.bits"),
    ("bits that are no number", quantized(stated={"group_size": 32, "bits": "8"}), "quantization.bits"),
    ("bits of no kind", quantized(stated={"group_size": 32, "bits": 7}), "q_proj"),
    ("no bits at all", quantized(stated={"group_size": 32, "bits": 0}), "q_proj"),
    ("fewer than no bits", quantized(stated={"group_size": 32, "bits": -8}), "q_proj"),
    ("groups of nothing", quantized(stated={"group_size": 0, "bits": 8}), "q_proj"),
    ("groups that do not divide", quantized(stated={"group_size": 24, "bits": 8}), "q_proj"),
    ("groups that MLX has not", quantized(group=16), "q_proj"),
]  # fmt: skip

FILE = [
    *((f"{n} bytes", cut(n), "weights.safetensors") for n in (0, 1, 4, 7, 8, 9, 100, 2000)),
    *((f"{n} bytes short", cut(-n), "weights.safetensors") for n in (1, 4, 1000, 50000)),
    *((f"a header of {n} bytes", length(n), "weights.safetensors") for n in (0, 1, 2**31, 2**40, 2**63 - 1, 2**63, -1, -8)),
    ("a header longer by a byte", spoil(lambda d: struct.pack("<Q", int.from_bytes(d[:8], "little") + 8) + d[8:]), "weights.safetensors"),
    ("not JSON", header_text(lambda t: "x" * len(t)), "weights.safetensors"),
    ("JSON of another kind", header_text(lambda t: "[1, 2]"), "weights.safetensors"),
    ("a number for a header", header_text(lambda t: "17"), "weights.safetensors"),
    ("null for a header", header_text(lambda t: "null"), "weights.safetensors"),
    ("an empty header", header_text(lambda t: ""), "weights.safetensors"),
    ("JSON that does not end", header_text(lambda t: t.rstrip()[:-1]), "weights.safetensors"),
    ("text after the JSON", header_text(lambda t: t + "}"), "weights.safetensors"),
    ("JSON that nests without end", header_text(lambda t: "[" * 100000), "weights.safetensors"),
    ("bytes that are no text", header_text(lambda t: b"\xff\xfe" * 40), "weights.safetensors"),
    ("a NUL byte", header_text(lambda t: t.replace(":", "\0:", 1)), "weights.safetensors"),
    ("half a surrogate", header_text(lambda t: t.replace('"model.norm', '"\\ud800model.norm')), "surrogate"),
    ("an escape that ends early", header_text(lambda t: '{"\\u12'), "weights.safetensors"),
    ("a name twice", header_text(twice), NORM),
    ("an unknown dtype", entry(NORM, dtype="F4"), f"'{NORM}'.*'F4'"),
    ("a dtype that is no string", entry(NORM, dtype=32), f"'{NORM}'"),
    ("no dtype", entry(NORM, dtype=None), f"'{NORM}'"),
    ("no shape", entry(NORM, shape=None), f"'{NORM}'"),
    ("a shape that is no list", entry(NORM, shape=32), f"'{NORM}'"),
    ("a size below 0", entry(NORM, shape=[-32]), f"'{NORM}'"),
    ("two sizes below 0", entry(NORM, shape=[-4, -8]), f"'{NORM}'"),
    ("a size of 2^32", entry(NORM, shape=[2**32]), f"'{NORM}'"),
    ("a size of 2^64", entry(NORM, shape=[2**64]), f"'{NORM}'"),
    ("sizes whose product overflows", entry(NORM, shape=[2**31 - 1] * 4), f"'{NORM}'"),
    ("a size overflows, another is 0", entry(NORM, shape=[2**31 - 1, 2**31 - 1, 0]), f"'{NORM}'"),
    ("a size that is no integer", entry(NORM, shape=[32.0]), f"'{NORM}'"),
    ("a size that is a string", entry(NORM, shape=["32"]), f"'{NORM}'"),
    ("more sizes than there are", entry(NORM, shape=[1] * 100000), f"'{NORM}'"),
    ("no offsets", entry(NORM, data_offsets=None), f"'{NORM}'"),
    ("one offset", offsets(NORM, lambda a, b: [a]), f"'{NORM}'"),
    ("three offsets", offsets(NORM, lambda a, b: [a, b, b]), f"'{NORM}'"),
    ("offsets reversed", offsets(NORM, lambda a, b: [b, a]), f"'{NORM}'"),
    ("offsets below 0", offsets(NORM, lambda a, b: [-128, 0]), f"'{NORM}'"),
    ("offsets beyond the data", offsets(NORM, lambda a, b: [10**9, 10**9 + 128]), f"'{NORM}'"),
    ("offsets of 2^64", offsets(NORM, lambda a, b: [2**64, 2**64 + 128]), f"'{NORM}'"),
    ("offsets that are no integers", offsets(NORM, lambda a, b: [a + 0.5, b + 0.5]), f"'{NORM}'"),
    ("offsets that are null", offsets(NORM, lambda a, b: [None, None]), f"'{NORM}'"),
    ("fewer bytes than the shape says", offsets(NORM, lambda a, b: [a, b - 4]), f"'{NORM}'"),
    ("an entry with two shapes", header_text(lambda t: t.replace('"shape":', '"shape":[9],"shape":', 1)), "'shape' is there twice"),
    ("a name that is no text", header_text(lambda t: t.encode().replace(b'"model.norm', b'"\xffmodel.norm')), "weights.safetensors"),
    ("a number that JSON has not", header_text(lambda t: t.replace('"data_offsets":[0,', '"data_offsets":[00,')), "weights.safetensors"),
    ("tensors that overlap", offsets(NORM, lambda a, b: [a - 4, b - 4]), "overlap"),
    ("an entry that is a list", header(lambda h: h.update({NORM: []})), f"'{NORM}'"),
    ("an entry that is null", header(lambda h: h.update({NORM: None})), f"'{NORM}'"),
    ("metadata that are a list", header(lambda h: h.update(__metadata__=[])), "metadata"),
    ("metadata that are numbers", header(lambda h: h.update(__metadata__={"config": 3})), "metadata"),
    ("metadata that nest", header(lambda h: h.update(__metadata__={"config": {"hidden_size": 32}})), "metadata"),
]  # fmt: skip

CONFIG = [
    ("no metadata", config_text(None), "config"),
    ("an empty text", config_text(""), "config"),
    ("no JSON", config_text("hidden_size = 32"), "config"),
    ("JSON cut off", config_text('{"hidden_size": 3'), "config"),
    ("a list", config_text("[32, 4]"), "config"),
    ("no values", config_text("{}"), "config has no '\\w+'"),
    ("a missing key", without("hidden_size"), "'hidden_size'"),
    ("a missing float", without("rms_norm_eps"), "'rms_norm_eps'"),
    ("null", config(hidden_size=None), "'hidden_size'"),
    ("a string for a number", config(hidden_size="32"), "'hidden_size'"),
    ("a float for an integer", config(hidden_size=32.5), "'hidden_size'"),
    ("a bool for an integer", config(hidden_size=True), "'hidden_size'"),
    ("a list for an integer", config(hidden_size=[32]), "'hidden_size'"),
    ("a string for a float", config(rms_norm_eps="tiny"), "'rms_norm_eps'"),
    ("a width below 0", config(hidden_size=-32), "expected float32 \\("),
    ("no width", config(hidden_size=0), "expected float32 \\("),
    ("a width of 2^31", config(hidden_size=2**31), "'hidden_size'"),
    ("a width of 2^31 - 1", config(hidden_size=2**31 - 1), "expected float32 \\("),
    ("a width of 1e300", config(hidden_size=1e300), "'hidden_size'"),
    ("a number of a thousand digits", config(hidden_size=10**1000), "'hidden_size'"),
    ("heads below 0", config(num_attention_heads=-4), "q_proj.weight'"),
    ("no heads", config(num_attention_heads=0), "q_proj.weight'"),
    (OVERFLOW, config(num_attention_heads=2**20, head_dim=2**20), "q_proj.weight'"),
    ("layers below 0", config(num_hidden_layers=-1), "model.layers.0"),
    ("no layers", config(num_hidden_layers=0), "model.layers.0"),
    ("too few layers", config(num_hidden_layers=1), "model.layers.1"),
    ("too many layers", config(num_hidden_layers=10**9), "no tensor 'model.layers.2"),
    ("another vocabulary", config(vocab_size=65), "embed_tokens.weight' is"),
]  # fmt: skip

IDS = [
    ("an id below 0", ids([[1, -1]]), "input_ids holds -1"),
    ("the first id beyond the table", ids([[1, 64]]), "input_ids holds 64"),
    ("a huge id", ids([[2**62, 1]]), f"input_ids holds {2**62}"),
    ("the smallest id", ids([[-(2**63), 1]]), f"input_ids holds {-(2**63)}"),
    ("an unsigned id of 2^64 - 1", ids([[2**64 - 1, 1]], np.uint64), "input_ids holds"),
    ("an int32 id below 0", ids([[1, -7]], np.int32), "input_ids holds -7"),
    ("a uint8 id beyond the table", ids([[1, 255]], np.uint8), "input_ids holds 255"),
    ("rank 0", ids(3), "input_ids has shape \\(\\)"),
    ("rank 1", ids([1, 2]), "input_ids has shape \\(2\\)"),
    ("rank 3", ids([[[1, 2]]]), "input_ids has shape \\(1, 1, 2\\)"),
    *((f"ids of {np.dtype(t).name}", ids([[1, 2]], t), "input_ids has dtype") for t in (np.float32, np.float16, bool, np.complex64)),
    ("ids of float64", ids([[1, 2]], np.float64), "input_ids"),
    ("an empty batch", ids(np.zeros((0, 5))), "input_ids has shape \\(0, 5\\), .*not empty"),
    ("empty sequences", ids(np.zeros((2, 0))), "input_ids has shape \\(2, 0\\), .*not empty"),
    ("a wrong name", inputs(ids=[[1, 2]]), "'input_ids' is missing"),
    ("one input too many", inputs(input_ids=[[1, 2]], mask=[[1, 1]]), "no input 'mask'"),
    ("no inputs", inputs(), "'input_ids' is missing"),
    ("requests with and without a number", inputs(**{"0.input_ids": [[1]], "input_ids": [[1]]}), "number"),
    ("the third request is broken", inputs(**{f"{i}.input_ids": [[i * 32]] for i in range(3)}), "request 2: input_ids holds 64"),
    ("an empty name", inputs(**{"": [[1]]}), "no input ''|'input_ids' is missing"),
    ("a request without a name", inputs(**{"0.": [[1]]}), "no input ''|'input_ids' is missing"),
    ("a huge request number", inputs(**{"99999999999.input_ids": [[1]]}), "'input_ids' is missing"),
    *((f"{n} bytes of inputs", cut(n, "inputs"), "inputs.safetensors") for n in (0, 7, 8, 40, -1)),
    ("inputs of an unknown dtype", entry("input_ids", "inputs", dtype="I128"), "'input_ids'.*'I128'"),
    ("inputs beyond the file", entry("input_ids", "inputs", data_offsets=[8, 72]), "'input_ids'"),
    ("a header of the inputs of 2^63 bytes", length(2**63, "inputs"), "inputs.safetensors"),
]  # fmt: skip

IMAGES = [
    ("an image without batch", image(3, 32, 32), "x has shape \\(3, 32, 32\\)"),
    ("rank 5", image(1, 1, 3, 32, 32), "x has shape"),
    ("one channel", image(1, 1, 32, 32), "x has shape \\(1, 1, 32, 32\\), expected \\(any, 3"),
    ("channels last", image(1, 32, 32, 3), "x has shape"),
    ("no channels", image(1, 0, 32, 32), "x has shape"),
    ("an image of integers", image(1, 3, 32, 32, dtype=np.int64), "x has dtype int64"),
    ("an image of bytes", image(1, 3, 32, 32, dtype=np.uint8), "x has dtype uint8"),
    ("an image of bools", image(1, 3, 32, 32, dtype=bool), "x has dtype bool"),
    ("an image of complex numbers", image(1, 3, 32, 32, dtype=np.complex64), "x has dtype complex64"),
    ("no images", image(0, 3, 32, 32), "x has shape"),
    ("images without rows", image(1, 3, 0, 32), "x has shape"),
    ("images without pixels", image(1, 3, 0, 0), "x has shape"),
    ("the input of another model", inputs(input_ids=[[1, 2]]), "'x' is missing"),
]  # fmt: skip

ARGUMENTS = [
    *((f"without {n}", flag(n, None), n, 2) for n in ("--weights", "--input", "--output")),
    ("no weights there", flag("--weights", "nowhere"), "nowhere"),
    ("a folder without weights", flag("--weights", "empty"), "empty/weights.safetensors"),
    ("a folder for inputs", flag("--input", "empty"), "empty"),
    ("no inputs there", flag("--input", "nowhere.safetensors"), "nowhere.safetensors"),
    ("the device of no end for weights", flag("--weights", "/dev/zero"), "/dev/zero"),
    ("nothing for weights", flag("--weights", "/dev/null"), "/dev/null"),
    ("no folder for the output", flag("--output", "nowhere/o.safetensors"), "nowhere/o.safetensors"),
    ("a folder for the output", flag("--output", "folder.safetensors"), "folder.safetensors"),
    ("a full device for the output", flag("--output", "full.safetensors"), "full.safetensors"),
    ("an output of another kind", flag("--output", "o.npz"), "--output", 2),
    ("an empty name of the weights", flag("--weights", ""), "--weights", 2),
    ("an unknown flag", rest("--speed", "3"), "--speed", 2),
    ("an unknown flag at the end", rest("--speed"), "--speed", 2),
    ("a flag without value", rest("--repeat"), "--repeat", 2),
    ("a word too many", rest("weights.safetensors", "x"), "weights.safetensors", 2),
    *((f"{n} {v}", flag(n, v), f"{n} takes a number", 2) for n, v in (("--repeat", "-1"), ("--repeat", "1e9"), ("--repeat", "99999999999999999999"), ("--repeat", ""), ("--threads", "0"), ("--threads", "1025"), ("--threads", "8x"), ("--warmup", " 1"), ("--warmup", "-0.5"))),
]  # fmt: skip

ROWS = [
    pytest.param(model, *row[1:3], row[3] if len(row) > 3 else 1, id=f"{group}: {row[0]}")
    for group, model, rows in (
        ("tensors", "llama", LLAMA_TENSORS), ("tensors", "resnet", RESNET_TENSORS),
        ("quantized", "llama", QUANTIZED), ("file", "llama", FILE), ("config", "llama", CONFIG),
        ("inputs", "llama", IDS), ("inputs", "resnet", IMAGES), ("arguments", "llama", ARGUMENTS),
    )
    for row in rows
]  # fmt: skip


# ---- running


GOOD = {
    "llama": {"input_ids": np.arange(6, dtype=np.int64).reshape(2, 3)},
    "resnet": {"x": np.zeros((1, 3, 32, 32), np.float32)},
}


@pytest.fixture
def good(program, tmp_path, monkeypatch):
    """`good(model)`: its files, not written yet, in an empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "full.safetensors").symlink_to("/dev/full")

    def files(model: str) -> Files:
        with safe_open(program(model).weights, "numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            config = json.loads(file.metadata()["config"])
        flags = {"weights": "weights", "input": "inputs", "output": "outputs"}
        paths: dict[str, str | None] = {f"--{k}": f"{v}.safetensors" for k, v in flags.items()}
        return Files(tmp_path, tensors, config, dict(GOOD[model]), paths)

    return files


def start(program: Path, files: Files) -> subprocess.CompletedProcess[str]:
    files.write()
    return subprocess.run(
        [program, *files.arguments()],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("model, change, words, status", ROWS)
def test_broken(model, change, words, status, good, program, request):
    if SANITIZE and OVERFLOW in request.node.callspec.id:
        pytest.skip("the widths overflow, which is reported, and then fit no tensor")
    files = good(model)
    change(files)
    done = start(program(model).path, files)
    assert done.returncode == status, done
    assert done.stdout == ""
    assert re.fullmatch(r"run: [^\n]+\n", done.stderr), done.stderr
    assert re.search(words, done.stderr), done.stderr
    assert len(done.stderr) < 1000
    assert not os.path.exists("outputs.safetensors")


@pytest.mark.parametrize("model", GOOD)
def test_the_files_are_good_before_they_are_broken(model, good, program):
    done = start(program(model).path, good(model))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, 1e-45])
def test_every_float_is_an_input(value, good, program):
    files = good("resnet")
    files.inputs["x"] = np.full((1, 3, 32, 32), value, np.float32)
    done = start(program("resnet").path, files)
    assert (done.returncode, done.stderr) == (0, "")
