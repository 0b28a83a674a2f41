"""torch.export programs become the same IR, whatever way they come."""

import collections
import dataclasses
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from export_cases import AUTO, Scaled, Twice, captured, check, exported, saved, shapes  # noqa: E402
from torch import nn  # noqa: E402

from mlx_transpile.errors import BadRequest, TranspileError  # noqa: E402
from mlx_transpile.frontend import capture  # noqa: E402
from mlx_transpile.frontend.inputs import parse_input  # noqa: E402
from mlx_transpile.ir.text import print_graph  # noqa: E402
from models import EXPORT_ONLY, MODELS, SCRIPTED  # noqa: E402

torch.set_num_threads(1)
BUILDERS = {k: v for k, v in {**MODELS, **EXPORT_ONLY}.items() if k not in SCRIPTED}


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", BUILDERS)
def test_modules_with_example_inputs(name):
    case = BUILDERS[name]()
    found = captured(case.module, *case.inputs)
    graph = check(found)
    scopes = {(s.path, s.call) for s in graph.scopes()[1:]}
    assert scopes <= set(found.module_outputs(found.example_inputs))
    free = {d.symbol for d in found.dims if d.kind == "free"}
    assert len(free) >= len(set(case.symbols)) or name == "resnet"


@pytest.mark.parametrize(
    "name",
    ["llama_decoder_tied", "bert_encoder", "resnet", "dict_output", "nested_input", "set_column"],
)
def test_archives(name, tmp_path):
    case = BUILDERS[name]()
    found = capture(saved(tmp_path / "model.pt2", exported(case.module, case.inputs)))
    graph = check(found)
    assert found.format == "export"
    assert print_graph(graph) == print_graph(
        capture(exported(case.module, case.inputs)).program.forward
    )
    scopes = {(s.path, s.call) for s in graph.scopes()[1:]}
    assert scopes <= set(found.module_outputs(found.example_inputs))


def test_names_and_lines_of_the_source():
    text = print_graph(captured(Scaled(), torch.ones(2, 4)).program.forward)
    assert "with module('proj', 'Linear'):" in text
    assert "low" in text and "high" in text
    assert "constant" in text and "param('shift'" in text
    assert "export_cases.py:" in text and "linear.py" not in text
    assert "add(concatenate, 2.0" in text


def test_a_module_under_two_names_is_called_twice():
    found = captured(Twice(), torch.ones(2, 3, 4))
    graph = check(found)
    scopes = [(s.path, s.call) for s in graph.scopes()[1:]]
    assert scopes == [("first", 0), ("first.proj", 0), ("first", 1), ("first.proj", 1)]
    assert sorted(graph.params) == [
        "first.gain",
        "first.proj.bias",
        "first.proj.weight",
        "first.shift",
    ]
    assert graph.params["first.gain"].buffer and not graph.params["first.proj.weight"].buffer
    assert found.details["aliases"]["second.proj.weight"] == "first.proj.weight"
    loaded = capture(exported(Twice(), (torch.ones(2, 3, 4),))).program.forward
    assert [(s.path, s.call) for s in loaded.scopes()[1:]] == scopes


def test_a_tied_tensor_does_not_make_one_module_of_two():
    case = MODELS["llama_decoder_tied"]()
    paths = [s.path for s in capture(exported(case.module, case.inputs)).program.forward.scopes()]
    assert "lm_head" in paths and paths.count("model.embed_tokens") == 1


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.wrapped = nn.ModuleDict({"rnn": kind(6, 5, **options)})

    def forward(self, x, *state):
        return self.wrapped["rnn"](x, *state)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True}, {"bias": False}]
)
def test_recurrent_layers_keep_their_length(kind, options):
    original = torch.nn.modules.rnn._VF
    found = captured(Recurrent(kind, **options), torch.randn(3, 4, 6))
    assert shapes(found) == ["f32[B, L, 6]"]
    graph = check(found)
    assert [n.op for n in graph.nodes if n.op in ("lstm", "gru", "rnn")] == [kind.__name__.lower()]
    assert torch.nn.modules.rnn._VF is original


def test_a_length_that_an_export_fixed_says_why():
    found = capture(exported(Recurrent(nn.GRU), (torch.randn(3, 4, 6),)))
    assert shapes(found) == ["f32[3, L, 6]"]
    assert "recurrent layers" in found.dims[0].evidence
    check(found)


def test_a_recurrent_layer_with_states():
    state = torch.randn(1, 4, 5), torch.randn(1, 4, 5)
    found = captured(Recurrent(nn.LSTM), torch.randn(3, 4, 6), state)
    assert shapes(found) == ["f32[B, L, 6]", "f32[1, L, 5]", "f32[1, L, 5]"]
    check(found)


def test_the_recurrent_layers_are_put_back_after_a_failure():
    class Fails(nn.Module):
        def forward(self, x):
            return x[: int(x.sum().item())] if x.sum() > 0 else x

    original = torch.nn.modules.rnn._VF
    with pytest.raises(TranspileError, match=r"cannot export the Fails") as error:
        captured(Fails(), torch.ones(3))
    assert "torch.jit.trace" in error.value.hint
    assert torch.nn.modules.rnn._VF is original


class Modes(nn.Module):
    def __init__(self, device="cpu", enabled=False):
        super().__init__()
        self.proj, self.device, self.enabled = nn.Linear(4, 4), device, enabled

    def forward(self, x):
        with torch.no_grad():
            scale = x.abs().amax(-1, keepdim=True) + 1
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.enabled):
            y = self.proj(x) / scale
        return y.float()


def test_graphs_that_carry_a_mode_are_inlined(tmp_path):
    check(capture(exported(Modes(), (torch.randn(2, 4),))))
    check(capture(saved(tmp_path / "m.pt2", exported(Modes(), (torch.randn(2, 4),)))))


def test_autocast_that_changes_types_is_an_error():
    with pytest.raises(TranspileError, match="autocast"):
        capture(exported(Modes(enabled=True), (torch.randn(2, 4),)))


Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Answer:
    scores: torch.Tensor
    extra: torch.Tensor | None = None


torch.export.register_dataclass(Answer, serialized_type_name="tests.Answer")


class Structured(nn.Module):
    def forward(self, x, flag: bool, pair, *, table, limit=3, missing=None):
        y = x * limit if flag else x
        return {
            "answer": Answer(y + pair[0]),
            "none": None,
            "size": x.shape[0],
            "list": [table["a"] + pair[1], y],
        }


def structured_call():
    one = torch.randn(2, 3)
    return (one, True, (one + 1, one + 2)), {"table": {"a": one + 3}, "limit": 4, "missing": None}


@pytest.mark.parametrize("route", ["module", "program", "archive"])
def test_nested_inputs_and_outputs(route, tmp_path):
    args, kwargs = structured_call()
    module = Structured()
    if route == "module":
        found = capture(module.eval(), example_inputs=(args, kwargs))
    else:
        program = exported(module, args, kwargs)
        found = capture(program if route == "program" else saved(tmp_path / "m.pt2", program))
    graph = found.program.forward
    assert [name for name, _ in graph.arguments] == ["x", "pair", "table"]
    assert isinstance(graph.arguments[1][1], tuple) and list(graph.arguments[2][1]) == ["a"]
    assert found.baked == {"flag": True, "limit": 4, "missing": None}
    assert list(graph.result) == ["answer", "none", "size", "list"]
    assert list(graph.result["answer"]) == ["scores"] and graph.result["none"] is None
    assert str(graph.result["size"]) == "B" and isinstance(graph.result["list"], list)
    out = found.run(found.example_inputs)
    expected = module(*args, **kwargs)
    np.testing.assert_allclose(out["answer"]["scores"], expected["answer"].scores, rtol=1e-6)
    np.testing.assert_allclose(out["list"][0], expected["list"][0], rtol=1e-6)


def test_an_fx_graph_module():
    case = MODELS["conv_audio"]()
    traced = torch.fx.symbolic_trace(case.module)
    found = captured(traced, *case.inputs)
    graph = check(found)
    assert graph.name == type(case.module).__name__
    assert all(
        s.path.partition(".")[0] in dict(case.module.named_children()) for s in graph.scopes()[1:]
    )


class Mutates(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(3))

    def forward(self, x):
        self.count.add_(1)
        return x + self.count


def test_a_mutated_buffer_is_an_error():
    program = exported(Mutates(), (torch.ones(2, 3),))
    with pytest.raises(TranspileError, match=r"mutated buffer: .*count"):
        capture(program)
    with pytest.raises(TranspileError, match=r"mutated buffer: .*count"):
        capture(program.run_decompositions({}))


def test_training_mode_is_refused():
    with pytest.raises(BadRequest, match="training mode"):
        capture(nn.Linear(2, 2), example_inputs=torch.ones(1, 2))


def test_a_module_without_inputs_is_refused():
    with pytest.raises(BadRequest, match="without example inputs"):
        capture(nn.Linear(2, 2).eval())


def test_inputs_may_be_described():
    found = capture(nn.Linear(4, 2).eval(), inputs=[parse_input("input=rows,columns,4")])
    assert shapes(found) == ["f32[rows, columns, 4]"]
    check(found)
    with pytest.raises(BadRequest, match="no input 'x'"):
        capture(nn.Linear(4, 2).eval(), inputs=[parse_input("x=rows,4")])


def test_described_dims_fix_and_name_those_of_an_archive(tmp_path):
    path = saved(tmp_path / "m.pt2", exported(nn.Linear(4, 2), (torch.ones(2, 3, 4),)))
    assert shapes(capture(path)) == ["f32[B, L, 4]"]
    assert shapes(capture(path, inputs=[parse_input("input=batch,7,4")])) == ["f32[batch, 7, 4]"]
    for text, message in [
        ("input=batch,seq,5", "fixed this dim to 4"),
        ("input=batch,seq,width", "fixed the dim 'width' to 4"),
        ("input=batch,seq,4:float16", "f32 of rank 3"),
        ("input=batch,4", "f32 of rank 3"),
        ("y=batch,seq,4", "no input 'y'"),
    ]:
        with pytest.raises(BadRequest, match=message):
            capture(path, inputs=[parse_input(text)])


def test_devices_become_the_cpu(tmp_path):
    class Positions(nn.Module):
        def forward(self, x):
            return x + torch.arange(x.shape[1], device=x.device).to(x.device)

    path = saved(tmp_path / "m.pt2", exported(Positions(), (torch.randn(2, 3),)))
    with zipfile.ZipFile(path) as old:
        entries = {
            n: old.read(n).replace(b'"type": "cpu"', b'"type": "mps"') for n in old.namelist()
        }
    with zipfile.ZipFile(path, "w") as new:
        for name, data in entries.items():
            new.writestr(name, data)
    assert any(b'"mps"' in data for data in entries.values())
    check(capture(path))


def test_a_batch_of_one_stays_free():
    found = captured(nn.Conv2d(3, 4, 3), torch.randn(1, 3, 8, 8))
    assert shapes(found) == ["f32[B, 3, H, W]"]


class Halves(nn.Module):
    def forward(self, x):
        size = x.shape[1] // 2
        mask = torch.arange(size * 2) < size
        return x[:, :size] * mask[:size], x.reshape(-1, 2, size)[:, 1].sum(-1) / (x.shape[0] * size)


def test_arithmetic_of_sizes():
    dim = 2 * torch.export.Dim("half", min=2, max=64)
    program = torch.export.export(
        Halves(), (torch.randn(3, 8),), dynamic_shapes={"x": {0: AUTO, 1: dim}}
    )
    found = capture(program)
    graph = found.program.forward
    assert str(graph.inputs[0].type) == "f32[B, 2*L]" and graph.symbols()[1].high == 64
    assert found.dims[1].evidence.startswith("a multiple of 2: in the export; ran at 2, ")
    check(found)


class Middle(nn.Module):
    def forward(self, x):
        size = x.shape[1] // 2
        mask = torch.arange(x.shape[1]) < size
        return x[:, :size], (x * mask).sum(-1) / (x.shape[0] * max(size, 1))


def test_sizes_computed_from_a_dim():
    found = captured(Middle(), torch.randn(3, 8))
    assert shapes(found) == ["f32[B, L]"]
    check(found, sizes=(4, 17))


def test_unsupported_ops_are_listed_together():
    class Odd(nn.Module):
        def forward(self, x):
            y = torch.linalg.svdvals(x)
            return torch.nonzero(x).sum() + y.sum() + torch.linalg.det(x)

    with pytest.raises(TranspileError) as error:
        captured(Odd(), torch.randn(3, 3))
    assert "linalg" in str(error.value) and "Odd" in str(error.value)


def test_the_frontend_imports_no_torch():
    code = "import sys, mlx_transpile.frontend; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_no_model():
    with pytest.raises(BadRequest, match="a int is no model"):
        capture(3)
    with pytest.raises(BadRequest, match="there is no file"):
        capture("nowhere.pt2")
