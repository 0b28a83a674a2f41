"""TorchScript archives: the graph computes what the archive computes, at every size that it says is free."""

import re
import zipfile

import numpy as np
import pytest
import torch
from captures import arrays, assert_same_as_source, capture, kinds, save
from torch import Tensor, nn

from mlx_transpile.errors import BadRequest, TranspileError
from mlx_transpile.frontend.inputs import parse_inputs
from mlx_transpile.frontend.torchscript import capture_archive
from models import MODELS, REFUSED


@pytest.mark.parametrize("name", MODELS)
def test_graph_computes_what_the_archive_computes(name, tmp_path):
    case = MODELS[name]()
    specs = _specs(case) if isinstance(case.module, torch.jit.ScriptModule) else None
    captured = capture_archive(save(case.module, tmp_path / "m.pt", case.inputs), specs)
    assert_same_as_source(captured)
    free = {d.symbol for d in captured.dims if d.kind == "free"}
    if name != "baked_batch":
        assert len(free) >= len(case.symbols), captured.dims


def _specs(case):
    texts = []
    for i, (tensor, dims) in enumerate(zip(case.inputs, case.dims)):
        sizes = ",".join(str(dims.get(axis, size)) for axis, size in enumerate(tensor.shape))
        texts.append(f"{['x', 'y'][i]}={sizes}:{str(tensor.dtype).removeprefix('torch.')}")
    return parse_inputs(texts)


@pytest.mark.parametrize("name", ["llama_decoder", "shared_layer", "dict_output"])
def test_module_outputs_are_those_of_the_modules(name, tmp_path):
    case = MODELS[name]()
    captured = capture(case.module, tmp_path, *case.inputs)
    inputs = captured.example_inputs
    outputs = captured.module_outputs(inputs)
    whole = arrays(captured.run(inputs))
    for a, b in zip(outputs["", 0], whole, strict=True):
        np.testing.assert_array_equal(a, b)
    called = {(s.path, s.call) for s in captured.program.forward.scopes()}
    assert called <= set(outputs)


# ---- structure


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.inner(x))


def test_scopes_have_paths_classes_and_call_numbers(tmp_path):
    graph = capture(Twice(), tmp_path, torch.ones(2, 4)).program.forward
    assert [(s.path, s.cls, s.call) for s in graph.scopes()] == [
        ("", "Twice", 0),
        ("inner", "Sequential", 0),
        ("inner.0", "Linear", 0),
        ("inner.1", "ReLU", 0),
        ("inner", "Sequential", 1),
        ("inner.0", "Linear", 1),
        ("inner.1", "ReLU", 1),
    ]


class Halve(nn.Module):
    def forward(self, hidden: Tensor) -> Tensor:
        return hidden / 2


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.halve = Halve()

    def forward(self, x: Tensor) -> Tensor:
        total = x + 1
        return self.halve(total)


def test_values_keep_the_names_and_lines_of_the_source(tmp_path):
    graph = capture(Named(), tmp_path, torch.ones(2, 4)).program.forward
    add, divide = graph.nodes
    assert add.out.hint == "hidden"
    assert re.fullmatch(r"test_torchscript\.py:\d+", add.source.at)
    assert divide.scope.names[add.out] == "hidden"


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(8, 4)
        self.head = nn.Linear(4, 8, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.embed(ids))


def test_tied_parameters_are_one(tmp_path):
    captured = capture(Tied(), tmp_path, torch.zeros(2, 3, dtype=torch.long))
    assert list(captured.program.forward.params) == ["embed.weight"]
    assert captured.details["aliases"] == {"head.weight": "embed.weight"}


class Constant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        weights = torch.tensor([1.0, 2.0, 3.0])
        return x * weights * 0.5


def test_constants_are_parameters_with_their_data_and_scalars_are_scalars(tmp_path):
    captured = capture(Constant(), tmp_path, torch.ones(2, 3))
    (param,) = captured.program.forward.params.values()
    assert param.buffer and str(param.recipe).startswith("constant(")
    assert 0.5 in captured.program.forward.nodes[-1].operands
    assert_same_as_source(captured)


# ---- inputs


class Pair(nn.Module):
    def forward(self, pair: tuple[Tensor, Tensor], extra: dict[str, Tensor]) -> dict[str, Tensor]:
        first, second = pair
        return {"sum": first + second, "scaled": extra["scale"] * first}


def test_tuples_and_dicts_go_in_and_dicts_come_out(tmp_path):
    pair = (torch.ones(2, 3), torch.ones(2, 3))
    captured = capture(Pair(), tmp_path, pair, {"scale": torch.ones(3)})
    names = [name for name, _ in captured.program.forward.arguments]
    assert names == ["pair", "extra"]
    assert list(captured.program.forward.result) == ["sum", "scaled"]
    assert kinds(captured) == [
        "pair.0.0=B",
        "pair.0.1=L",
        "pair.1.0=B",
        "pair.1.1=L",
        "extra.scale.0=L",
    ]
    assert_same_as_source(captured)


class Lookup(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 4)

    def forward(self, ids: Tensor, shift: Tensor) -> Tensor:
        return self.embed(ids) + shift


def test_keyword_inputs_in_another_order_find_their_places(tmp_path):
    path = save(
        Lookup(),
        tmp_path / "m.pt",
        shift=torch.ones(2, 3, 4),
        ids=torch.zeros(2, 3, dtype=torch.long),
    )
    captured = capture_archive(path)
    assert [str(v.type.dtype) for v in captured.program.forward.inputs] == ["i64", "f32"]
    assert_same_as_source(captured)


def test_an_archive_that_was_saved_again_needs_its_inputs_stated(tmp_path):
    first = save(Lookup(), tmp_path / "m.pt", (torch.zeros(2, 3, dtype=torch.long), torch.ones(4)))
    again = tmp_path / "again.pt"
    torch.jit.load(str(first)).save(str(again))
    with pytest.raises(BadRequest) as error:
        capture_archive(again)
    assert error.value.hint == "state them: --input ids=DIMS:DTYPE --input shift=DIMS:DTYPE"
    captured = capture_archive(again, parse_inputs(["ids=batch,seq:int64", "shift=4"]))
    assert kinds(captured) == ["ids.0=batch", "ids.1=seq", "shift.0=4"]
    assert_same_as_source(captured)


def test_stated_inputs_must_be_those_of_the_model(tmp_path):
    path = save(Lookup(), tmp_path / "m.pt", (torch.zeros(2, 3, dtype=torch.long), torch.ones(4)))
    with pytest.raises(BadRequest, match="no input 'mask'"):
        capture_archive(path, parse_inputs(["ids=2,3:int64", "shift=4", "mask=2,3"]))
    again = tmp_path / "again.pt"
    torch.jit.load(str(path)).save(str(again))
    with pytest.raises(BadRequest, match="'shift' is not described"):
        capture_archive(again, parse_inputs(["ids=2,3:int64"]))


def test_inputs_that_are_not_stated_are_as_the_archive_has_them(tmp_path):
    path = save(Lookup(), tmp_path / "m.pt", (torch.zeros(2, 3, dtype=torch.long), torch.ones(4)))
    captured = capture_archive(path, parse_inputs(["ids=rows,5:int64"]))
    assert kinds(captured) == ["ids.0=rows", "ids.1=5", "shift.0=4"]
    assert_same_as_source(captured)


class Options(nn.Module):
    def forward(
        self, x: Tensor, mask: Tensor | None = None, scale: float = 2.0, twice: bool = False
    ) -> Tensor:
        if mask is not None:
            x = x * mask
        if twice:
            x = x + x
        return x * scale


def test_arguments_that_are_not_stated_keep_their_defaults(tmp_path):
    path = save(torch.jit.script(Options().eval()), tmp_path / "m.pt")
    captured = capture_archive(path, parse_inputs(["x=batch,3"]))
    assert captured.baked == {"mask": None, "scale": 2.0, "twice": False}
    assert [name for name, _ in captured.program.forward.arguments] == ["x"]
    assert_same_as_source(captured)
    masked = capture_archive(path, parse_inputs(["x=batch,3", "mask=batch,3"]))
    assert list(masked.baked) == ["scale", "twice"]
    assert_same_as_source(masked)


# ---- archives


def _rewritten(source, target, change):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(data) if name.endswith(".py") else data)
    return target


@pytest.mark.parametrize("device", ["mps:0", "cuda:0", "mps"])
def test_an_archive_traced_on_a_gpu_runs_on_the_cpu(device, tmp_path):
    class Positions(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.arange(x.shape[1], device=x.device)

    path = save(Positions(), tmp_path / "m.pt", (torch.ones(2, 3),))
    elsewhere = _rewritten(
        path,
        tmp_path / "gpu.pt",
        lambda code: code.replace(b'device("cpu")', f'device("{device}")'.encode()),
    )
    assert device.encode() in b"".join(
        zipfile.ZipFile(elsewhere).read(n)
        for n in zipfile.ZipFile(elsewhere).namelist()
        if n.endswith(".py")
    )
    captured = capture_archive(elsewhere)
    assert kinds(captured) == ["x.0=B", "x.1=L"]
    assert_same_as_source(captured)
    assert captured.module_outputs(captured.example_inputs)


def test_devices_that_modules_hold_become_the_cpu(tmp_path):
    class Holds(nn.Module):
        def __init__(self):
            super().__init__()
            self.device = torch.device("cpu")

        def forward(self, x: Tensor) -> Tensor:
            return x.to(self.device) + torch.zeros(3, device=self.device)

    module = torch.jit.script(Holds().eval())
    module._c.setattr("device", torch.device("cuda:0"))
    captured = capture_archive(save(module, tmp_path / "m.pt"), parse_inputs(["x=batch,3"]))
    assert_same_as_source(captured)


class Escapes(nn.Module):
    class Inner(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x * 2, x

    def __init__(self):
        super().__init__()
        self.inner = self.Inner()

    def forward(self, x: Tensor) -> Tensor:
        twice, same = self.inner(x)
        return twice + same


def test_module_outputs_leave_out_what_a_module_only_hands_back(tmp_path):
    captured = capture(Escapes(), tmp_path, torch.ones(2, 3))
    outputs = captured.module_outputs([np.ones((2, 3), np.float32)])
    assert [a[0, 0] for a in outputs["inner", 0]] == [2.0]


def test_a_frozen_archive_is_refused(tmp_path):
    frozen = torch.jit.freeze(torch.jit.trace(Twice().eval(), torch.ones(2, 4)))
    torch.jit.save(frozen, str(tmp_path / "m.pt"))
    with pytest.raises(TranspileError, match="frozen"):
        capture_archive(tmp_path / "m.pt")


def test_a_damaged_archive_is_refused(tmp_path):
    path = save(Twice(), tmp_path / "m.pt", (torch.ones(2, 4),))
    broken = tmp_path / "broken.pt"
    broken.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BadRequest, match=r"broken\.pt"):
        capture_archive(broken)
    other = _rewritten(path, tmp_path / "other.pt", lambda code: b"class (")
    with pytest.raises(BadRequest, match="cannot be loaded as TorchScript"):
        capture_archive(other)


def test_example_inputs_are_read_without_running_their_pickle(tmp_path):
    path = save(Twice(), tmp_path / "m.pt", (torch.ones(2, 4),))
    planted = tmp_path / "planted.pt"
    ran = tmp_path / "ran"
    payload = b"cbuiltins\nopen\n(V" + str(ran).encode() + b"\nVw\ntR."
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(planted, "w") as new:
        for name in old.namelist():
            new.writestr(name, payload if name.endswith("traced_inputs.pkl") else old.read(name))
    with pytest.raises(BadRequest, match="does not say what its inputs are"):
        capture_archive(planted)
    assert not ran.exists()


# ---- control flow


class Branches(nn.Module):
    def __init__(self, act: str):
        super().__init__()
        self.act = act
        self.steps = 3
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(2)])

    def helper(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            x = x * mask
        return x + 1

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        for layer in self.layers:
            x = layer(x)
        for i in range(self.steps):
            x = x + i
        if self.act == "relu":
            x = torch.relu(x)
        else:
            x = torch.tanh(x)
        parts: list[Tensor] = []
        for i in range(x.size(-1)):
            parts.append(self.helper(x[:, i]))
        return x, parts


@pytest.mark.parametrize("act", ["relu", "tanh"])
def test_static_branches_and_loops_resolve(act, tmp_path):
    path = save(torch.jit.script(Branches(act).eval()), tmp_path / "m.pt")
    captured = capture_archive(path, parse_inputs(["x=batch,4"]))
    ops = [node.op for node in captured.program.forward.nodes]
    assert ops.count("linear") == 2 and act in ops and {"relu", "tanh"} - {act} not in ops
    assert_same_as_source(captured)


def doubled(x: Tensor, times: int) -> Tensor:
    for _ in range(times):
        x = x * 2
    return x


class Functions(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        shape = torch.tensor([x.size(0), 3])
        table = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        half = torch.tensor(0.5, dtype=x.dtype)
        width = x.size(-1) // 2 + int(half * 2)
        return {
            "doubled": doubled(x, 2) * half,
            "shape": shape,
            "table": doubled(table, 1),
            "cut": x[:, :width],
        }


def test_functions_are_inlined_and_literals_become_constants(tmp_path):
    path = save(torch.jit.script(Functions().eval()), tmp_path / "m.pt")
    captured = capture_archive(path, parse_inputs(["x=batch,length"]))
    assert kinds(captured) == ["x.0=batch", "x.1=length"]
    assert list(captured.program.forward.params) == ["table"]
    assert_same_as_source(captured)
    captured.module_outputs(captured.example_inputs)


class SizeLoop(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        for i in range(x.size(0)):
            x = x + i
        return x


def test_a_loop_over_a_fixed_size_unrolls(tmp_path):
    path = save(torch.jit.script(SizeLoop().eval()), tmp_path / "m.pt")
    captured = capture_archive(path, parse_inputs(["x=4,3"]))
    assert_same_as_source(captured)
    assert not any(n.row.blocks for n in captured.program.forward.nodes)


def test_a_loop_over_a_free_size_is_a_loop(tmp_path):
    path = save(torch.jit.script(SizeLoop().eval()), tmp_path / "m.pt")
    captured = capture_archive(path, parse_inputs(["x=batch,3"]))
    assert_same_as_source(captured)
    (loop,) = (n for n in captured.program.forward.nodes if n.op == "loop")
    assert str(loop["trips"]) == "batch"


@pytest.mark.parametrize("name", REFUSED)
def test_state_is_refused(name, tmp_path):
    case = REFUSED[name]()
    specs = _specs(case) if isinstance(case.module, torch.jit.ScriptModule) else None
    with pytest.raises(TranspileError) as error:
        capture_archive(save(case.module, tmp_path / "m.pt", case.inputs), specs)
    assert error.value.hint


class Unsupported(nn.Module):
    class Inner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.svdvals(x)

    def __init__(self):
        super().__init__()
        self.inner = self.Inner()

    def forward(self, x: Tensor) -> Tensor:
        return torch.matrix_exp(x) @ x + self.inner(x)[..., None] + torch.matrix_exp(x)


def test_all_unsupported_ops_are_reported_at_once(tmp_path):
    with pytest.raises(TranspileError) as error:
        capture(Unsupported(), tmp_path, torch.eye(3)[None])
    text = str(error.value)
    assert "2 unsupported ops in 3 calls" in text
    assert re.search(r"linalg_svdvals x1 in inner \(test_torchscript\.py:\d+\)", text)
    assert re.search(r"(linalg_)?matrix_exp x2 in Unsupported \(test_torchscript\.py:\d+\)", text)
