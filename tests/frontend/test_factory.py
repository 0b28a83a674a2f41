"""package.module:factory with --weights."""

import json
import textwrap

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from export_cases import check  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from mlx_transpile.errors import BadRequest  # noqa: E402
from mlx_transpile.frontend import capture  # noqa: E402
from mlx_transpile.frontend.factory import build, is_factory  # noqa: E402
from mlx_transpile.frontend.inputs import parse_input  # noqa: E402

CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(6, 4)
        self.head = nn.Linear(4, 6, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(self.embed(ids))

def alone():
    return Net()

def with_inputs():
    return Net(), (torch.zeros(2, 3, dtype=torch.long),)

def fails():
    raise RuntimeError("no such luck")

number = 3
a = with_inputs
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "net_for_tests.py").write_text(textwrap.dedent(CODE))
    monkeypatch.chdir(tmp_path)
    yield "net_for_tests"


def weights():
    return {"embed.weight": torch.arange(24.0).reshape(6, 4)}


def test_what_names_a_factory():
    assert is_factory("package.module:factory") and is_factory("m:Class.make")
    assert not any(map(is_factory, ["model.pt", "C:\\model.pt", "a/b:c", "m:", ":f", "m"]))


@pytest.mark.parametrize(
    "kind", ["safetensors", "index", "folder", "state_dict", "checkpoint", "with_tied"]
)
def test_weights(package, tmp_path, kind):
    state = weights()
    path = tmp_path / "weights.bin"
    if kind == "safetensors":
        save_file(state, path)
    elif kind in ("index", "folder"):
        save_file(state, tmp_path / "part-1.safetensors")
        path = tmp_path / "model.safetensors.index.json"
        path.write_text(json.dumps({"weight_map": {"embed.weight": "part-1.safetensors"}}))
        path = tmp_path if kind == "folder" else path
    elif kind == "checkpoint":
        torch.save({"model_state_dict": state, "step": 3}, path)
    else:
        both = {**state, "head.weight": state["embed.weight"]}
        torch.save(state if kind == "state_dict" else both, path)
    found = capture(f"{package}:with_inputs", weights=path)
    np.testing.assert_array_equal(found.tensors["embed.weight"], weights()["embed.weight"])
    graph = check(found)
    assert list(graph.params) == ["embed.weight"] and found.details["aliases"] == {
        "head.weight": "embed.weight"
    }


def test_inputs_are_described_where_the_factory_gives_none(package):
    with pytest.raises(BadRequest, match="--input"):
        capture(f"{package}:alone")
    found = capture(f"{package}:alone", inputs=[parse_input("ids=batch,seq:int64")])
    assert str(found.program.forward.inputs[0].type) == "i64[batch, seq]"


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s.clear(), r"1 missing: embed.weight|2 missing: embed.weight, head.weight"),
        (lambda s: s.update(extra=torch.ones(1)), "1 unknown: extra"),
        (
            lambda s: s.update({"embed.weight": torch.ones(6, 5)}),
            "embed.weight is 6x5, the module has 6x4",
        ),
        (
            lambda s: s.update({"model.embed.weight": s.pop("embed.weight")}),
            "return the part of the model",
        ),
    ],
)
def test_weights_that_do_not_fit(package, tmp_path, change, message):
    state = weights()
    change(state)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(BadRequest, match=message):
        build(f"{package}:alone", tmp_path / "w.safetensors")


class Anything:
    pass


def test_weights_that_are_none(package, tmp_path):
    torch.save({"net": Anything()}, tmp_path / "objects.pt")
    (tmp_path / "cut.safetensors").write_bytes(b"\x40\0\0\0\0\0\0\0{")
    (tmp_path / "bad.index.json").write_text("{}")
    (tmp_path / "out.index.json").write_text('{"weight_map": {"a": "../a.safetensors"}}')
    for name, message in [
        ("objects.pt", "no plain state dict"),
        ("cut.safetensors", "damaged safetensors"),
        ("bad.index.json", "lacks a weight_map"),
        ("out.index.json", "outside of its folder"),
        ("nowhere.pt", "there is no file"),
    ]:
        with pytest.raises(BadRequest, match=message):
            build(f"{package}:alone", tmp_path / name)


@pytest.mark.parametrize(
    "name, message",
    [
        ("no_such_module_here:f", "cannot be imported"),
        ("net_for_tests:nothing", "has no nothing"),
        ("net_for_tests:number", "cannot be called"),
        ("net_for_tests:fails", "no such luck"),
        ("net_for_tests:nn.Dropout.__call__", "failed"),
    ],
)
def test_factories_that_are_none(package, name, message):
    with pytest.raises(BadRequest, match=message):
        capture(name)


def test_weights_go_with_a_factory(package, tmp_path):
    with pytest.raises(BadRequest, match="--weights"):
        capture(str(tmp_path / "model.pt2"), weights="w.safetensors")
    with pytest.raises(BadRequest, match="weights go with"):
        capture(torch.nn.Linear(2, 2), weights="w.safetensors")
