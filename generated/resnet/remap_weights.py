"""Make weights.safetensors for the model.py beside this script from a checkpoint of the source model.

CHECKPOINT is a TorchScript archive, a torch.export archive (.pt2), a state dict saved by torch.save,
a .safetensors file, the index.json of a sharded one, or a folder that holds one of the last two.
Reading it runs no code from it. Only TorchScript and state dict files need torch.

Every tensor is checked against model.py before anything is written; all that is missing, surprising or
of a wrong shape is listed at once. A file that this script made is recognised and not converted twice.
Floating-point tensors keep the checkpoint's dtype unless --dtype says otherwise (float64 becomes float32).
--quantize packs the weights of linear and embedding layers into few bits; config.json then says so.
"""

import argparse
import importlib.util
import inspect
import json
import os
import re
import struct
import sys
import zipfile
from dataclasses import fields
from fnmatch import fnmatchcase
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_flatten

HERE = Path(__file__).resolve().parent
MARK = {"format": "mlx", "generator": "mlx-transpile", "rules": "b448fcc0aca5815b"}
DTYPE = None  # default of --dtype; None keeps the checkpoint's
QUANTIZE = None  # default of --quantize; None quantizes nothing
KEEP_FLOAT = ""  # default of --keep-float

# A name with {} stands for one name a number; {0}, {1} are the target's numbers in another order.
# Tensors that keep name and layout:
COPIED = [
    "bn1.weight",
    "bn1.bias",
    "bn1.running_mean",
    "bn1.running_var",
    "layer1.{}.bn1.weight",
    "layer1.{}.bn1.bias",
    "layer1.{}.bn1.running_mean",
    "layer1.{}.bn1.running_var",
    "layer1.{}.bn2.weight",
    "layer1.{}.bn2.bias",
    "layer1.{}.bn2.running_mean",
    "layer1.{}.bn2.running_var",
    "layer1.{}.bn3.weight",
    "layer1.{}.bn3.bias",
    "layer1.{}.bn3.running_mean",
    "layer1.{}.bn3.running_var",
    "layer1.{}.downsample.1.weight",
    "layer1.{}.downsample.{}.bias",
    "layer1.{}.downsample.{}.running_mean",
    "layer1.{}.downsample.{}.running_var",
    "layer2.{}.bn1.weight",
    "layer2.{}.bn1.bias",
    "layer2.{}.bn1.running_mean",
    "layer2.{}.bn1.running_var",
    "layer2.{}.bn2.weight",
    "layer2.{}.bn2.bias",
    "layer2.{}.bn2.running_mean",
    "layer2.{}.bn2.running_var",
    "layer2.{}.bn3.weight",
    "layer2.{}.bn3.bias",
    "layer2.{}.bn3.running_mean",
    "layer2.{}.bn3.running_var",
    "layer2.{}.downsample.1.weight",
    "layer2.{}.downsample.{}.bias",
    "layer2.{}.downsample.{}.running_mean",
    "layer2.{}.downsample.{}.running_var",
    "fc.weight",
    "fc.bias",
]
# Tensors that keep their name, and what is done to them:
CHANGED = [
    ("conv1.weight", lambda a: a.transpose(0, 2, 3, 1)),
    ("layer1.{}.conv1.weight", lambda a: a.transpose(0, 2, 3, 1)),
    ("layer1.{}.conv2.weight", lambda a: a.transpose(0, 2, 3, 1)),
    ("layer1.{}.conv3.weight", lambda a: a.transpose(0, 2, 3, 1)),
    ("layer1.{}.downsample.0.weight", lambda a: a.transpose(0, 2, 3, 1)),
    ("layer2.{}.conv1.weight", lambda a: a.transpose(0, 2, 3, 1)),
    ("layer2.{}.conv2.weight", lambda a: a.transpose(0, 2, 3, 1)),
    ("layer2.{}.conv3.weight", lambda a: a.transpose(0, 2, 3, 1)),
    ("layer2.{}.downsample.0.weight", lambda a: a.transpose(0, 2, 3, 1)),
]
# Others: target, sources, and how it is made from them. (a, b, ...) are the sources by number.
MADE = []
# Other names of a tensor that the model holds once: not needed, and equal where present.
ALIASES = []
# Tensors whose value stands in model.py: not needed, and of that value where present.
FACTS = []
# Layers that --quantize quantizes, with what --keep-float calls them; where it is "read", model.py
# reads the weight itself, which stays float.
LAYERS = [
    ("fc", "head"),
]
# Tensors that --dtype leaves in float32.
PRECISE = []
# Tensors of the source that the model does not use.
UNUSED = [
    "bn1.num_batches_tracked",
    "layer1.{}.bn1.num_batches_tracked",
    "layer1.{}.bn2.num_batches_tracked",
    "layer1.{}.bn3.num_batches_tracked",
    "layer1.{}.downsample.{}.num_batches_tracked",
    "layer2.{}.bn1.num_batches_tracked",
    "layer2.{}.bn2.num_batches_tracked",
    "layer2.{}.bn3.num_batches_tracked",
    "layer2.{}.downsample.{}.num_batches_tracked",
]
# Sources with this prefix stood in the source's code: constants.safetensors has them.
CONSTANT = "constant:"


class Refused(Exception):
    """The checkpoint does not fit; says why."""


# ---- rules


def matcher(pattern):
    """The regular expression of the names that the pattern stands for; its groups are the numbers."""
    parts = []
    for part in pattern.split("."):
        text = re.escape(part.replace("{{", "{").replace("}}", "}"))
        parts.append("(0|[1-9][0-9]*)" if part == "{}" else text)
    return re.compile(r"\.".join(parts))


def source_name(source, numbers):
    """The name of a rule's source for the target's numbers; a tuple has one name a number."""
    if isinstance(source, str):
        return source.format(*numbers)
    number = int(numbers[0])
    return source[number] if number < len(source) else f"{source[0]} of layer {number}"


def expand(rules, name):
    """The sources and the function of the first rule for the tensor `name`; None where there is none."""
    for regex, sources, make in rules:
        found = regex.fullmatch(name)
        if found:
            return [source_name(source, found.groups()) for source in sources], make
    return None


def compiled_rules():
    rules = [(name, [name], None) for name in COPIED]
    rules += [(name, [name], change) for name, change in CHANGED] + MADE
    return [(matcher(target), sources, make) for target, sources, make in rules]


# ---- reading: each reader returns {name: function that gives the array}


def read_safetensors(paths):
    return {
        k: (lambda v=v: v)
        for p in paths
        for k, v in mx.load(str(p), format="safetensors").items()
    }


def read_index(path):
    """A sharded checkpoint by its index.json."""
    weight_map = json.loads(path.read_text())["weight_map"]
    shards = [path.parent / name for name in dict.fromkeys(weight_map.values())]
    absent = [str(shard) for shard in shards if not shard.is_file()]
    if absent:
        raise Refused(f"{path} lists files that do not exist: {', '.join(absent)}")
    tensors = read_safetensors(shards)
    lacking = sorted(weight_map.keys() - tensors.keys())
    if lacking:
        raise Refused(f"{path} lists tensors that its files lack: {', '.join(lacking)}")
    return tensors


def read_folder(path):
    indexes = sorted(path.glob("*.safetensors.index.json"))
    files = sorted(path.glob("*.safetensors"))
    if len(indexes) == 1:
        return read_index(indexes[0])
    if len(files) == 1:
        return read_safetensors(files)
    raise Refused(f"{path} holds no single safetensors checkpoint; name the file")


def import_torch():
    try:
        import torch
    except ImportError:
        raise Refused(
            "this checkpoint needs torch to be read: pip install torch numpy"
        ) from None
    return torch


def from_torch(tensor):
    """The tensor as an array, through its bytes: exact for every dtype, bfloat16 too."""
    torch = import_torch()
    narrow = {torch.float64: torch.float32, torch.complex128: torch.complex64}
    tensor = (
        tensor.detach().to("cpu", narrow.get(tensor.dtype, tensor.dtype)).contiguous()
    )
    dtype = getattr(
        mx, str(tensor.dtype).removeprefix("torch.").replace("bool", "bool_"), None
    )
    if dtype is None:
        raise Refused(f"MLX has no dtype {tensor.dtype}")
    if dtype == mx.bool_:
        return mx.array(tensor.numpy())
    data = tensor.reshape(-1).view(torch.uint8).numpy()
    return mx.array(data).view(dtype).reshape(tuple(tensor.shape))


def readers(tensors):
    return {name: (lambda t=tensor: from_torch(t)) for name, tensor in tensors.items()}


def read_torchscript(path):
    module = import_torch().jit.load(str(path), map_location="cpu")
    return readers(
        dict(
            [
                *module.named_parameters(remove_duplicate=False),
                *module.named_buffers(remove_duplicate=False),
            ]
        )
    )


def read_state_dict(file):
    torch = import_torch()
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise Refused(
            f"no state dict can be read from it without running its code ({reason(error)})"
        ) from None
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    tensors = (
        {k: v for k, v in found.items() if isinstance(v, torch.Tensor)}
        if isinstance(found, dict)
        else {}
    )
    if not tensors:
        raise Refused("it holds no state dict")
    return readers(tensors)


# Element types as .pt2 archives number them.
PT2_DTYPES = {
    1: mx.uint8, 2: mx.int8, 3: mx.int16, 4: mx.int32, 5: mx.int64, 6: mx.float16, 7: mx.float32,
    8: mx.float64, 10: mx.complex64, 12: mx.bool_, 13: mx.bfloat16, 28: mx.uint16,
}  # fmt: skip


def read_pt2(archive):
    """Weights and constants of a torch.export archive: raw bytes described by JSON."""
    tensors = {}
    for name in archive.namelist():
        folder, _, file = name.rpartition("/")
        if file.endswith("_weights_config.json") or file.endswith(
            "_constants_config.json"
        ):
            for key, entry in json.loads(archive.read(name))["config"].items():
                if entry.get("tensor_meta") and not entry.get("use_pickle"):
                    tensors[key] = pt2_reader(
                        archive.filename,
                        f"{folder}/{entry['path_name']}",
                        entry["tensor_meta"],
                    )
    return tensors


def pt2_reader(path, member, meta):
    def read():
        if meta["dtype"] not in PT2_DTYPES:
            raise Refused(f"MLX has no dtype for {member} (number {meta['dtype']})")
        dtype = PT2_DTYPES[meta["dtype"]]
        with zipfile.ZipFile(path) as archive:
            data = mx.array(memoryview(archive.read(member)))
        shape = [size["as_int"] for size in meta["sizes"]]
        if 0 in shape:
            return mx.zeros(shape, mx.float32 if dtype == mx.float64 else dtype)
        flat = data != 0 if dtype == mx.bool_ else data.view(dtype)
        strides = [stride["as_int"] for stride in meta["strides"]]
        array = mx.as_strided(flat, shape, strides, meta["storage_offset"]["as_int"])
        return array.astype(mx.float32, stream=mx.cpu) if dtype == mx.float64 else array

    return read


def read_zip(path):
    with zipfile.ZipFile(path) as archive:
        names = {name.split("/", 1)[-1] for name in archive.namelist()}
        if "models/model.json" in names or "archive_format" in names:
            return read_pt2(archive)
        if "serialized_state_dict.pt" in names:  # .pt2 as torch before 2.8 wrote it
            with archive.open("serialized_state_dict.pt") as file:
                return read_state_dict(file)
    return read_torchscript(path) if "constants.pkl" in names else read_state_dict(path)


def reason(error):
    """The first line of what a library says."""
    return next(
        (line for line in str(error).splitlines() if line.strip()), type(error).__name__
    )


def read(path):
    """The checkpoint's tensors and its metadata, by what it holds."""
    if not path.exists():
        raise Refused("there is no such file")
    try:
        return (read_folder(path), {}) if path.is_dir() else read_file(path)
    except (Refused, OSError):
        raise
    except Exception as error:
        raise Refused(f"it cannot be read ({reason(error)})") from None


def read_file(path):
    with path.open("rb") as file:
        head = file.read(9)
    if head[8:] == b"{":
        return (
            read_safetensors([path]),
            mx.load(str(path), format="safetensors", return_metadata=True)[1],
        )
    if head[:1] == b"{":
        return read_index(path), {}
    return (read_zip(path) if zipfile.is_zipfile(path) else read_state_dict(path)), {}


def read_constants():
    path = HERE / "constants.safetensors"
    return read_safetensors([path]) if path.is_file() else {}


# ---- checking and converting


def read_config():
    """config.json: what model.py is built with."""
    try:
        return json.loads((HERE / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refused(
            f"config.json is missing beside this script: {HERE / 'config.json'}"
        ) from None
    except ValueError as error:
        raise Refused(f"{HERE / 'config.json'} is no JSON: {error}") from None


def build_model(config):
    """The model of model.py and config.json, with whatever weights its constructor gives it."""
    spec = importlib.util.spec_from_file_location("model", HERE / "model.py")
    module = sys.modules["model"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if "args" not in inspect.signature(module.Model).parameters:
        return module.Model()
    args = {f.name: config[f.name] for f in fields(module.ModelArgs)}
    return module.Model(module.ModelArgs(**args))


def expected(model, rules):
    """The arrays that weights.safetensors must hold, by name."""
    names = {name for name, _ in tree_flatten(model.parameters())}
    arrays = [(k, v) for k, v in tree_flatten(model) if isinstance(v, mx.array)]
    return {k: v for k, v in arrays if k in names or expand(rules, k)}


def kind(dtype):
    """Integers, floats, bools and complex numbers never stand in for one another."""
    return next(
        (
            k
            for k in (mx.floating, mx.integer, mx.complexfloating)
            if mx.issubdtype(dtype, k)
        ),
        dtype,
    )


def agrees(name, array, want):
    """What is wrong with the array, or nothing."""
    if array.shape != want.shape:
        return f"wrong shape: {name} is {tuple(array.shape)}, the model has {tuple(want.shape)}"
    if kind(array.dtype) != kind(want.dtype):
        return f"wrong dtype: {name} is {array.dtype}, the model has {want.dtype}"
    return None


def same(a, b):
    return a.shape == b.shape and bool(
        mx.array_equal(a, b.astype(a.dtype), equal_nan=True)
    )


def resolve_aliases(tensors, problems):
    """Drop the second names of tied tensors, or use one where the first name is missing."""
    aliases = [(matcher(other), [first], None) for other, first in ALIASES]
    for name in sorted(tensors):
        rule = expand(aliases, name)
        if rule:
            first, value = rule[0][0], tensors.pop(name)
            if first not in tensors:
                tensors[first] = value
            elif not same(tensors[first](), value()):
                problems.append(
                    f"not equal: {name} and {first} are one tensor in the model"
                )


def check_facts(tensors, problems):
    """Take out the tensors whose values stand in model.py."""
    facts = [(matcher(name), value) for name, value in FACTS]
    for name in sorted(tensors):
        for regex, value in facts:
            if regex.fullmatch(name) and name in tensors:
                array = tensors.pop(name)()
                counted = isinstance(value, range)
                wanted = list(value) if counted else [value] * array.size
                if array.flatten().tolist() != wanted:
                    problems.append(f"not equal: {name} is {value} in model.py")


def convert(tensors, want, rules):
    """The model's arrays from the checkpoint's; Refused lists everything that does not fit."""
    problems, made, used = [], {}, set()
    resolve_aliases(tensors, problems)
    check_facts(tensors, problems)
    constants = read_constants()
    available = {
        **constants,
        **{k: v for k, v in tensors.items() if not k.startswith(CONSTANT)},
    }
    for done, name in enumerate(sorted(want)):
        progress(done, len(want), name)
        rule = expand(rules, name)
        sources, make = rule or ([], None)
        used.update(sources)
        lacking = [source for source in sources if source not in available]
        problems += [f"missing: {source}" for source in lacking]
        if rule is None:
            problems.append(
                f"no rule makes {name}: model.py and this script do not belong together"
            )
        if rule is None or lacking:
            continue
        try:
            arrays = [available[source]() for source in sources]
            array = make(*arrays) if make else arrays[0]
        except ValueError as error:
            problems.append(
                f"wrong shape: {name} cannot be made from {', '.join(sources)}: {error}"
            )
            continue
        problems += filter(None, [agrees(name, array, want[name])])
        made[name] = array
    unused = [matcher(name) for name in UNUSED]
    extra = [
        k
        for k in sorted(tensors.keys() - used)
        if not any(u.fullmatch(k) for u in unused)
    ]
    problems += [f"surprising: {name} has no place in the model" for name in extra]
    if problems:
        raise Refused(
            "\n".join(["it does not fit the model:", *dict.fromkeys(problems)])
        )
    for name in sorted(used - tensors.keys()):
        if not name.startswith(CONSTANT):
            print(f"not in the checkpoint, taken from constants.safetensors: {name}")
    return made


def checked(tensors, want):
    """The tensors of a file that is converted already; `want` gives what they must be."""
    problems = [f"missing: {name}" for name in sorted(want.keys() - tensors.keys())]
    problems += [
        f"surprising: {name} has no place in the model"
        for name in sorted(tensors.keys() - want.keys())
    ]
    arrays = {name: tensors[name]() for name in sorted(want.keys() & tensors.keys())}
    problems += filter(
        None, [agrees(name, array, want[name]) for name, array in arrays.items()]
    )
    if problems:
        raise Refused(
            "\n".join(
                ["it is converted already, but does not fit the model:", *problems]
            )
        )
    return arrays


def cast(array, dtype):
    return (
        array.astype(getattr(mx, dtype))
        if dtype and mx.issubdtype(array.dtype, mx.floating)
        else array
    )


def progress(done, total, name=""):
    if sys.stderr.isatty():
        text = ascii(name)[1:-1][:60]
        print(
            f"\r\033[K{done}/{total} {text}" if name else "\r\033[K",
            end="",
            file=sys.stderr,
            flush=True,
        )


# ---- quantizing


def parse_quantize(text):
    """BITS or BITS:GROUP as the arguments of mx.quantize; nothing for "none"."""
    if text in (None, "none"):
        return {}
    found = re.fullmatch("([0-9]{1,4})(?::([0-9]{1,4}))?", text)
    bits, group = (int(found[1]), int(found[2] or 64)) if found else (0, 0)
    if bits not in (2, 3, 4, 5, 6, 8) or group not in (32, 64, 128):
        raise Refused(
            f"--quantize {text}: give 2, 3, 4, 5, 6 or 8 bits, in groups of 32, 64 or 128, as in 4:32"
        )
    return {"group_size": group, "bits": bits, "mode": "affine"}


def known_layers(want):
    """The layers that could be quantized, with what --keep-float calls them."""
    layers = [(matcher(name), [], words) for name, words in LAYERS]
    matrices = [n for n, a in want.items() if n.endswith(".weight") and a.ndim == 2]
    names = sorted(n.removesuffix(".weight") for n in matrices)
    return {n: found[1] for n in names if (found := expand(layers, n))}


def kept_words(keep_float, known):
    """What --keep-float names; Refused where that is no layer."""
    keep = [part.strip() for part in keep_float.split(",") if part.strip()]
    for part in keep:
        names = ["embeddings", "head", *known]
        if not any(fnmatchcase(name, part) for name in names):
            raise Refused(f"--keep-float: no layer is called {part}")
    return keep


def is_kept(name, words, keep):
    return any(part in words.split() or fnmatchcase(name, part) for part in keep)


def choose(want, quantization, keep_float):
    """The layers to quantize; of the others that could be, why they stay float."""
    known = known_layers(want)
    keep = kept_words(keep_float, known)
    chosen, kept = [], {}
    for name, words in known.items():
        group, width = quantization["group_size"], want[f"{name}.weight"].shape[-1]
        if words == "read":
            kept[name] = "model.py reads its weight itself"
        elif is_kept(name, words, keep):
            kept[name] = "--keep-float"
        elif width % group:
            kept[name] = f"{group} does not divide {width}"
        else:
            chosen.append(name)
    if not chosen:
        reasons = ", ".join(dict.fromkeys(kept.values()))
        raise Refused(
            f"no layer can be quantized: {reasons or 'the model has none'}; "
            "try other groups, or --quantize none"
        )
    return chosen, kept


def settings(quantization, name):
    """The arguments of mx.quantize for a layer: its own, or those of all."""
    common = {k: v for k, v in quantization.items() if not isinstance(v, dict)}
    return common | quantization.get(name, {})


def quantize(arrays, chosen, quantization):
    """Put packed weights, scales and biases in the place of the layers' weights."""
    for name in chosen:
        how = settings(quantization, name)
        # The CPU's kernel everywhere: the same file on every machine.
        parts = mx.quantize(arrays[f"{name}.weight"], **how, stream=mx.cpu)
        for part, array in zip(("weight", "scales", "biases"), parts):
            arrays[f"{name}.{part}"] = array


def tell(chosen, kept, quantization):
    grouped, ways = {}, {}
    for name, why in kept.items():
        parts = ["{}" if part.isdigit() else part for part in name.split(".")]
        grouped.setdefault((".".join(parts), why), []).append(name)
    for name in chosen:
        how = settings(quantization, name)
        ways.setdefault((how["bits"], how["group_size"]), []).append(name)
    for (bits, group), names in ways.items():
        count = "1 layer has" if len(names) == 1 else f"{len(names)} layers have"
        print(f"{count} {bits} bits in groups of {group}")
    print(f"{len(kept)} stay float{':' if kept else ''}")
    for (name, why), names in grouped.items():
        print(f"  {name}{f' ({len(names)} layers)' if len(names) > 1 else ''}: {why}")


def quantized_layers(tensors):
    """The layers whose weights a file holds quantized."""
    names = [k.removesuffix(".scales") for k in tensors if k.endswith(".scales")]
    return [
        name
        for name in names
        if f"{name}.qweight" in tensors
        or f"{name}.weight" in tensors
        and tensors[f"{name}.weight"]().dtype == mx.uint32
    ]


# ---- writing

NAMES = {
    mx.bool_: "BOOL",
    mx.uint8: "U8",
    mx.uint16: "U16",
    mx.uint32: "U32",
    mx.uint64: "U64",
    mx.int8: "I8",
    mx.int16: "I16",
    mx.int32: "I32",
    mx.int64: "I64",
    mx.float16: "F16",
    mx.bfloat16: "BF16",
    mx.float32: "F32",
    mx.complex64: "C64",
}


def save(path, arrays, config):
    """Write the file whole or not at all. Its metadata holds config.json, for readers without one."""
    metadata = {**MARK, "config": json.dumps(config, separators=(",", ":"))}
    partial = path.with_name(f".{path.name}.{os.getpid()}.safetensors")
    try:
        with partial.open("wb") as file:
            write_safetensors(file, arrays, metadata)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_safetensors(file, arrays, metadata):
    """One array after the other, wide elements first; equal arrays give equal files."""
    header, end = {"__metadata__": metadata}, 0
    order = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    for name in order:
        array, start, end = arrays[name], end, end + arrays[name].nbytes
        header[name] = {
            "dtype": NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    for done, name in enumerate(order):
        progress(done, len(order), name)
        array = arrays.pop(name)
        if array.size:
            file.write(memoryview(mx.contiguous(array.reshape(-1)).view(mx.uint8)))


def write_config(output, config):
    """config.json beside weights.safetensors says how they are quantized."""
    path = output.with_name("config.json")
    here = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if output.name != "weights.safetensors" or here == config:
        return
    if not path.exists() and "quantization" not in config:
        return
    if path.exists() and {**here, "quantization": 0} != {**config, "quantization": 0}:
        raise Refused(f"{path} is that of another model; give another --output")
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        text = json.dumps(config, indent=2) + "\n"
        partial.write_text(text, encoding="utf-8", newline="\n")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


# ---- all of it


def remap(checkpoint, output, dtype=DTYPE, quantize_to=None, keep_float=None):
    """Convert the checkpoint, or pass one through that is converted already; returns the number of tensors.

    `quantize_to` and `keep_float` are those of the command; None is their default.
    """
    asked = quantize_to is not None or keep_float is not None
    quantization = parse_quantize(QUANTIZE if quantize_to is None else quantize_to)
    if keep_float and not quantization:
        raise Refused("--keep-float: all stays float without --quantize")
    keep_float = KEEP_FLOAT if keep_float is None else keep_float
    config = read_config()
    tensors, metadata = read(checkpoint)
    rules = compiled_rules()
    want = expected(build_model(config), rules)
    packed = quantized_layers(tensors)
    if metadata.get("generator") != MARK["generator"]:
        if packed:
            raise Refused(
                f"it is quantized already ({packed[0]} for one); give the float checkpoint"
            )
        arrays = convert(tensors, want, rules)
    elif metadata.get("rules") != MARK["rules"]:
        raise Refused(
            "it was converted for another model.py; give the source checkpoint"
        )
    elif packed:
        found = recorded(metadata)
        chosen = choose(want, quantization, keep_float)[0] if quantization else []
        if asked and (quantization != found or sorted(packed) != chosen):
            raise Refused(
                f"it is quantized already ({found['bits']} bits in groups of {found['group_size']}, "
                f"{len(packed)} layers); give the source checkpoint to have it otherwise"
            )
        quantization = found
        quantize(want, [name for name in packed if fits(name, want, found)], found)
        arrays = checked(tensors, want)
    else:
        arrays = checked(tensors, want)
    precise = [matcher(name) for name in PRECISE]
    arrays = {
        name: array if any(p.fullmatch(name) for p in precise) else cast(array, dtype)
        for name, array in arrays.items()
    }
    if quantization and not packed:
        chosen, kept = choose(want, quantization, keep_float)
        quantize(arrays, chosen, quantization)
        tell(chosen, kept, quantization)
    config.pop("quantization", None)
    config |= {"quantization": quantization} if quantization else {}
    count = len(arrays)
    if quantization:  # says nothing wrong of float weights, should writing end here
        write_config(output, config)
    save(output, arrays, config)
    write_config(output, config)
    progress(0, 0)
    return count


def recorded(metadata):
    """How the weights of a converted file are quantized, as its metadata has it."""
    try:
        found = json.loads(metadata["config"])["quantization"]
        layers = [settings(found, k) for k, v in found.items() if isinstance(v, dict)]
        for how in (settings(found, ""), *layers):
            if how != parse_quantize(f"{how['bits']}:{how['group_size']}"):
                raise ValueError
        return found
    except (AttributeError, KeyError, TypeError, ValueError, Refused):
        pass
    raise Refused(
        "it is quantized, but its metadata does not say how; give the source checkpoint"
    )


def fits(name, want, quantization):
    weight = want.get(f"{name}.weight")
    group = settings(quantization, name)["group_size"]
    return weight is not None and weight.shape[-1] % group == 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=HERE / "weights.safetensors",
        help="default: beside this script",
    )
    parser.add_argument(
        "--dtype",
        choices=["float16", "bfloat16", "float32"],
        default=DTYPE,
        help=f"of the floating-point tensors; default: {DTYPE or 'as they are'}",
    )
    parser.add_argument(
        "--quantize",
        metavar="BITS[:GROUP]",
        help="linear and embedding layers to 4 or 8 bits (also 2, 3, 5, 6) in groups of 64 (default), "
        f"32 or 128, or none; default: {QUANTIZE or 'none'}",
    )
    parser.add_argument(
        "--keep-float",
        metavar="LAYERS",
        help="layers that --quantize leaves float, with commas: embeddings, head (the linears that give "
        "the results), or names in model.py, * for any text; "
        f"default: {KEEP_FLOAT.replace('%', '%%') or 'none'}",
    )
    options = parser.parse_args()
    try:
        count = remap(
            options.checkpoint,
            options.output,
            options.dtype,
            options.quantize,
            options.keep_float,
        )
    except (Refused, OSError, RuntimeError, zipfile.BadZipFile) as error:
        progress(0, 0)
        sys.exit(f"{options.checkpoint}: {error}")
    except KeyboardInterrupt:
        progress(0, 0)
        sys.exit("interrupted")
    print(f"{count} tensors -> {options.output}")


if __name__ == "__main__":
    main()
