"""The test models themselves: they run at any size, and both of torch's captures follow them."""

from typing import Any

import pytest
import torch
from torch.export import Dim
from torch.utils import _pytree as pytree

from models import EXPORT_ONLY, MODELS, REFUSED, SCRIPTED, Case

SIZES = (1, 3, 17)
# Recurrent layers fix their length during export unless they are swapped for opaque ops.
EXPORT_FIXES_LENGTH = {"bilstm_tagger", "gru_net"}
NOT_EXPORTED = SCRIPTED


def other_sizes(case: Case) -> list[dict[str, int]]:
    """One batch of sizes for each of SIZES, symbols a little apart from each other.

    Images and waveforms start at their example's size: a receptive field has to fit.
    """
    floor = {symbol: size if size >= 32 else 0 for symbol, size in case.symbols.items()}
    return [{symbol: floor[symbol] + n + i for i, symbol in enumerate(case.symbols)} for n in SIZES]


def run(module: torch.nn.Module, inputs: tuple[Any, ...]) -> list[torch.Tensor]:
    copies = pytree.tree_map(torch.clone, inputs)
    with torch.no_grad():
        return pytree.tree_leaves(module(*copies))


def assert_same(got: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def saved_trace(case: Case, path: str) -> torch.jit.ScriptModule:
    if not isinstance(case.module, torch.jit.ScriptModule):
        with torch.no_grad():
            traced = torch.jit.trace(case.module, case.inputs, strict=False)
        torch.jit.save(traced, path)
    else:
        torch.jit.save(case.module, path)
    return torch.jit.load(path)


@pytest.mark.parametrize("name", MODELS)
def test_two_builds_are_equal_and_nothing_is_constant(name):
    case, again = MODELS[name](), MODELS[name]()
    first = run(case.module, case.inputs)
    assert_same(first, run(again.module, again.inputs))
    assert all(out.isfinite().all() for out in first)
    other = run(case.module, case.inputs_at({}, seed=5))
    assert any(not torch.equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_trace_survives_saving_and_other_sizes(name, tmp_path):
    case = MODELS[name]()
    loaded = saved_trace(case, str(tmp_path / "model.pt"))
    for sizes in other_sizes(case):
        inputs = case.inputs_at(sizes)
        assert_same(run(loaded, inputs), run(case.module, inputs))


@pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning")
@pytest.mark.parametrize("name", [n for n in MODELS if n not in NOT_EXPORTED])
def test_export_follows(name):
    case = MODELS[name]()
    automatic = pytree.tree_map_only(torch.Tensor, lambda t: [Dim.AUTO] * t.dim(), case.inputs)
    with torch.no_grad():
        program = torch.export.export(case.module, case.inputs, dynamic_shapes=automatic)
    exported = program.module()
    assert_same(run(exported, case.inputs), run(case.module, case.inputs))
    if name in EXPORT_FIXES_LENGTH:
        return
    for sizes in other_sizes(case):
        inputs = case.inputs_at({symbol: max(2, size) for symbol, size in sizes.items()})
        assert_same(run(exported, inputs), run(case.module, inputs))


@pytest.mark.parametrize("name", EXPORT_ONLY)
def test_export_keeps_names_that_an_archive_cannot_hold(name, tmp_path):
    case = EXPORT_ONLY[name]()
    program = torch.export.export(case.module, case.inputs)
    assert program.state_dict.keys() == case.module.state_dict().keys()
    with pytest.raises(RuntimeError):
        saved_trace(case, str(tmp_path / "model.pt"))


def test_a_trace_bakes_the_batch_of_baked_batch(tmp_path):
    case = MODELS["baked_batch"]()
    loaded = saved_trace(case, str(tmp_path / "model.pt"))
    more = torch.cat([case.inputs[0]] * 2)
    assert run(loaded, (more,))[0].shape[0] == 3
    assert run(case.module, (more,))[0].shape[0] == 6


@pytest.mark.parametrize("name", REFUSED)
def test_refused_models_run(name):
    case = REFUSED[name]()
    assert all(out.isfinite().all() for out in run(case.module, case.inputs))
