"""Library models fuse alike whether their sizes are numbers or symbols."""

from __future__ import annotations

import warnings
from types import ModuleType

import pytest

torch = pytest.importorskip("torch")
from fusion_counts import counts  # noqa: E402
from zoo_runs import build, export  # noqa: E402

pytestmark = pytest.mark.zoo
torch.set_num_threads(1)
NAMES = ("llama", "llama32", "qwen3", "gpt2", "bert", "vit", "clip", "t5", "nllb_m2m100",
         "whisper_encoder", "resnet", "mobilenet_v3", "swin")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_same_fusions(zoo: ModuleType, name: str) -> None:
    source = build(zoo, name, "pt2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fixed = torch.export.export(source.module, source.args, source.kwargs, strict=False)
        static, dynamic = counts(fixed), counts(export(source))
    assert (static.free, dynamic.free > 0) == (0, True)
    assert static.rules == dynamic.rules
    assert static.rules.total() >= 2
