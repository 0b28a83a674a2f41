"""Library models by every way in: the emitted model computes what the original module computes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

torch = pytest.importorskip("torch")
from acceptance import made_up_names, source_names  # noqa: E402
from zoo_runs import FURTHER, MODULE_ROUTE, PROMISED, ROUTES, build, run  # noqa: E402

pytestmark = pytest.mark.zoo
torch.set_num_threads(1)

# What torch itself does not capture; and what is refused from one of the two captures only.
NOT_CAPTURED = {
    ("kokoro_text_encoder", "pt2"): "torch.export cannot trace packed sequences",
    ("kokoro_full_conv_stft", "pt2"): "torch.export cannot guard on sizes that depend on data",
    ("mimi_encode", "pt2"): "torch.export cannot guard on sizes that are tensors in the model",
    ("f5_dit", "pt"): "torch.jit.trace does not get through its forward",
}
# Without a free batch: traced or exported for one.
NO_BATCH = {("wake_melspec", "pt2"), ("gru", "pt2")}

RUNS = [
    *(
        (name, route)
        for name in (*PROMISED, *FURTHER)
        for route in ROUTES
        if (name, route) not in NOT_CAPTURED
    ),
    *((name, "module") for name in MODULE_ROUTE),
]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name, route", RUNS)
def test_library_model(zoo: ModuleType, name: str, route: str, tmp_path: Path) -> None:
    row = run(zoo, name, route, tmp_path)
    assert min(row.max_abs, row.max_rel) < 1e-4
    if name in PROMISED:
        assert row.max_abs < 1e-4
        assert len(row.sizes) >= 2
    assert row.magnitude > 1e-3  # else the comparison would mean little
    assert row.sizes
    batches = {sizes.get("B") for sizes in row.sizes}
    if name in PROMISED and (name, route) not in NO_BATCH:
        assert batches == {1, 3, 17}
    known = source_names(build(zoo, name, route).module)
    for file in ("model.py", "remap_weights.py"):
        assert made_up_names((tmp_path / "out" / file).read_text(), known) == []
