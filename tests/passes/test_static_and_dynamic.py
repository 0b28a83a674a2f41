"""A model fuses alike whether its sizes are numbers or symbols."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from fusion_counts import counts  # noqa: E402

from models import MODELS, Case  # noqa: E402

torch.set_num_threads(1)
AUTO = torch.export.Dim.AUTO
NAMES = ("llama_decoder", "llama_decoder_tied", "bert_encoder", "resnet", "mha_encoder",
         "mha_encoder_fused", "seq2seq")  # fmt: skip


def free_axes(dims: Any) -> Any:
    """Every axis that may change, as torch.export takes it."""
    if isinstance(dims, tuple):
        return tuple(map(free_axes, dims))
    return {k: AUTO if isinstance(k, int) else free_axes(v) for k, v in dims.items()}


def exported(case: Case, dynamic: bool) -> torch.export.ExportedProgram:
    shapes = free_axes(case.dims) if dynamic else None
    return torch.export.export(case.module, case.inputs, dynamic_shapes=shapes, strict=False)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_fusions(name):
    static, dynamic = (counts(exported(MODELS[name](), d)) for d in (False, True))
    assert (static.free, dynamic.free > 0) == (0, True)
    assert static.rules == dynamic.rules
    assert static.rules.total() >= 3
