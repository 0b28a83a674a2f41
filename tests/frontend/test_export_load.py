"""A .pt2 archive is read without running anything that stands in it, and without what it was made with."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile

import pytest

torch = pytest.importorskip("torch")
from export_cases import exported, saved  # noqa: E402
from torch import nn  # noqa: E402

from mlx_transpile.errors import BadRequest, TranspileError  # noqa: E402
from mlx_transpile.frontend import capture  # noqa: E402
from mlx_transpile.frontend.export_check import plain_spec  # noqa: E402
from mlx_transpile.frontend.export_load import load_exported  # noqa: E402


class Payload:
    """Unpickling this makes a directory."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def archive(tmp_path):
    return saved(tmp_path / "model.pt2", exported(nn.Linear(4, 2), (torch.randn(3, 4),)))


def rewritten(path, change):
    """The archive with its entries changed by `change(name, data) -> data`."""
    with zipfile.ZipFile(path) as old:
        entries = {name: change(name, old.read(name)) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in entries.items():
            new.writestr(name, data)
    return path


def with_program(path, change):
    """The archive with its program's JSON changed in place."""

    def edit(name, data):
        if not name.endswith("models/model.json"):
            return data
        program = json.loads(data)
        change(program)
        return json.dumps(program).encode()

    return rewritten(path, edit)


def pickled(value):
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def test_a_payload_among_the_sample_inputs_does_not_run(archive, tmp_path):
    marker = tmp_path / "ran"
    payload = pickled((Payload(marker),))
    rewritten(archive, lambda n, d: payload if "sample_inputs" in n else d)
    found = capture(archive)  # the examples are a convenience: random ones take their place
    assert [a.shape for a in found.example_inputs] == [(3, 4)]
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["weights", "constants"])
def test_a_payload_among_the_tensors_does_not_run(archive, tmp_path, kind):
    marker = tmp_path / "ran"

    def plant(name, data):
        if name.endswith(f"model_{kind}_config.json"):
            record = {"path_name": "weight_0" if kind == "weights" else "tensor_0"}
            entry = {**record, "is_param": False, "use_pickle": True, "tensor_meta": None}
            return json.dumps({"config": {"weight": entry}}).encode()
        planted = kind == "weights" and name.endswith("weight_0")
        return pickled(Payload(marker)) if planted else data

    rewritten(archive, plant)
    with zipfile.ZipFile(archive, "a") as file:
        if kind == "constants":
            root = file.namelist()[0].split("/")[0]
            file.writestr(f"{root}/data/constants/tensor_0", pickled(Payload(marker)))
    with pytest.raises(BadRequest, match="would run code"):
        load_exported(archive)
    assert not marker.exists()


def test_a_pickled_object_among_the_constants_does_not_run(archive, tmp_path):
    marker = tmp_path / "ran"
    entry = {
        "path_name": "opaque_obj_0",
        "is_param": False,
        "use_pickle": True,
        "tensor_meta": None,
    }

    def plant(name, data):
        return json.dumps({"config": {"x": entry}}).encode() if "constants_config" in name else data

    rewritten(archive, plant)
    with zipfile.ZipFile(archive, "a") as file:
        root = file.namelist()[0].split("/")[0]
        file.writestr(f"{root}/data/constants/opaque_obj_0", pickle.dumps(Payload(marker)))
    with pytest.raises(BadRequest, match="would run code"):
        load_exported(archive)
    assert not marker.exists()


def test_a_payload_in_the_old_layout_does_not_run(archive, tmp_path):
    marker = tmp_path / "ran"
    with zipfile.ZipFile(archive) as file:
        program = next(file.read(n) for n in file.namelist() if n.endswith("model.json"))
    old = tmp_path / "old.pt2"
    with zipfile.ZipFile(old, "w") as file:
        file.writestr("version", "8.2")
        file.writestr("serialized_exported_program.json", program)
        file.writestr("serialized_state_dict.pt", pickled({"weight": Payload(marker)}))
        file.writestr("serialized_constants.pt", pickled({}))
        file.writestr("serialized_example_inputs.pt", b"")
    with pytest.raises(BadRequest, match="would run code"):
        capture(old)
    assert not marker.exists()


def test_the_old_layout_is_read(archive, tmp_path):
    program = torch.export.load(archive)
    with zipfile.ZipFile(archive) as file:
        text = next(file.read(n) for n in file.namelist() if n.endswith("model.json"))
    old = tmp_path / "old.pt2"
    with zipfile.ZipFile(old, "w") as file:
        file.writestr("version", "8.2")
        file.writestr("serialized_exported_program.json", text)
        file.writestr("serialized_state_dict.pt", pickled(dict(program.state_dict)))
        file.writestr("serialized_constants.pt", pickled({}))
        file.writestr("serialized_example_inputs.pt", pickled(program.example_inputs))
    new, again = capture(archive), capture(old)
    assert str(new.program.forward.inputs) == str(again.program.forward.inputs)
    assert (new.tensors["weight"] == again.tensors["weight"]).all()


CODE = [
    "__import__('os').mkdir({marker!r})",
    "Symbol('s77', positive=True).func.__class__.__bases__",
    "eval(input())",
    "[x for x in (1,)]",
    "Lambda(s0, s0)",
    "S('__import__(\"os\")')",
    "s0 if 1 else s0",
]


@pytest.mark.parametrize("code", CODE)
def test_code_in_the_place_of_a_size_does_not_run(archive, tmp_path, code):
    marker = tmp_path / "ran"

    def plant(program):
        values = program["graph_module"]["graph"]["tensor_values"]
        sizes = next(v["sizes"] for v in values.values() if any("as_expr" in s for s in v["sizes"]))
        expression = next(s["as_expr"] for s in sizes if "as_expr" in s)
        expression["expr_str"] = code.format(marker=str(marker))

    with pytest.raises(BadRequest, match="no arithmetic"):
        load_exported(with_program(archive, plant))
    assert not marker.exists()


@pytest.mark.parametrize(
    "target",
    ["torch.os.system", "torch.hub.load", "torch.ops.load_library", "math.__loader__", "_operator.__import__",
     "torch.ops.aten.linear.default.__class__.mro", "#ns:op", "torch.ops.evil.run.default", "torch.ops.aten"],
)  # fmt: skip
def test_only_operators_are_called(archive, target):
    def plant(program):
        program["graph_module"]["graph"]["nodes"][0]["target"] = target

    with pytest.raises(TranspileError, match="not torch's own"):
        load_exported(with_program(archive, plant))


def test_code_of_guards_is_dropped(archive, tmp_path):
    marker = tmp_path / "ran"
    code = f"__import__('os').mkdir({str(marker)!r})"
    with_program(archive, lambda p: p.update(guards_code=[code]))
    found = capture(archive)
    found.run(found.example_inputs)
    assert not marker.exists()


def test_output_structures_import_nothing(archive):
    leaf = {"type": None, "context": None, "children_spec": []}
    spec = {"type": "antigravity.Output", "context": '["logits"]', "children_spec": [leaf]}

    def plant(program):
        entry = program["graph_module"]["module_call_graph"][0]["signature"]
        entry["out_spec"] = json.dumps([1, spec])

    found = capture(with_program(archive, plant))
    assert list(found.program.forward.result) == ["logits"]
    assert "antigravity" not in sys.modules


def test_structures_become_plain():
    leaf = {"type": None, "context": None, "children_spec": []}
    enum = json.dumps([{"__enum__": True, "fqn": "antigravity:X", "name": "Y"}])
    for kind, context, expected in [
        ("a.Output", '["x", "y"]', "builtins.dict"),
        ("a.Data", '[["x", "y"], ["z"]]', "builtins.dict"),
        ("a.Named", '"a.Named"', "builtins.tuple"),
        ("builtins.tuple", "null", "builtins.tuple"),
        ("builtins.dict", enum, "builtins.tuple"),
    ]:
        spec = {"type": kind, "context": context, "children_spec": [leaf, leaf]}
        version, plain = json.loads(plain_spec(json.dumps([1, spec])))
        assert version == 1 and plain["type"] == expected and len(plain["children_spec"]) == 2
        assert "__enum__" not in str(plain)


def test_damaged_archives(archive):
    for change in (
        lambda n, d: b"{" if n.endswith("model.json") else d,
        lambda n, d: d[:3] if n.endswith("weight_0") else d,
        lambda n, d: d[:4] if n.endswith("weight_0") else d,
        lambda n, d: b'{"config": {"weight": {}}}' if n.endswith("weights_config.json") else d,
    ):
        copy = archive.with_name("damaged.pt2")
        copy.write_bytes(archive.read_bytes())
        with pytest.raises(BadRequest):
            load_exported(rewritten(copy, change))


@pytest.mark.zoo
def test_transformers_need_not_be_installed(zoo, tmp_path):
    module, args, kwargs, _ = zoo.ZOO["bert"]()
    path = saved(tmp_path / "bert.pt2", exported(module, args, kwargs))
    code = f"""
import sys
class Hide:
    def find_spec(self, name, *rest):
        if name.split(".")[0] == "transformers":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hide())
from mlx_transpile.frontend import capture
found = capture({str(path)!r})
print(*found.program.forward.result)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["last_hidden_state", "pooler_output"]


def test_an_operator_of_a_library_is_read_as_its_twin_of_torch(tmp_path):
    moe = pytest.importorskip("transformers.integrations.moe")

    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 16, 8))

        def forward(self, x, ends):
            return torch.ops.transformers.grouped_mm_fallback(x, self.weight, ends)

    given = torch.randn(7, 16), torch.tensor([2, 2, 7], dtype=torch.int32)
    path = saved(tmp_path / "model.pt2", exported(Experts(), given))
    assert moe is not None and "aten._grouped_mm" in str(load_exported(path).graph)
    (node,) = [n for n in capture(path).program.forward.nodes if n.op == "grouped_matmul"]
    assert str(node.out.type) == "f32[B, 8]"
    (node,) = [
        n
        for n in capture(Experts().eval(), example_inputs=(given, {})).program.forward.nodes
        if n.op == "grouped_matmul"
    ]
    assert str(node.out.type) == "f32[B, 8]"
