"""Library models by every way in: the emitted model computes what the original module computes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

torch = pytest.importorskip("torch")
from zoo_runs import FURTHER, MODULE_ROUTE, PROMISED, ROUTES, run  # noqa: E402

from mlx_transpile import TranspileError  # noqa: E402

pytestmark = pytest.mark.zoo
torch.set_num_threads(1)

RANDOM = "random numbers in the model"
PACKED = "packed sequences have a size that depends on data"
# What no compiler that keeps its promises can take, and what it says.
REFUSED: dict[str, str] = {
    "kokoro_decoder": RANDOM,
    "kokoro_decoder_conv_stft": RANDOM,
    "kokoro_text_encoder": PACKED,
    "kokoro_full_conv_stft": "shapes depend on data",
}
# torch.export refuses these itself.
NOT_EXPORTED: set[str] = set()
# Without a free batch: traced or exported for one.
NO_BATCH = {("wake_melspec", "pt2"), ("gru", "pt2")}

RUNS = [
    *((name, route) for name in (*PROMISED, *FURTHER) if name not in REFUSED for route in ROUTES),
    *((name, "module") for name in MODULE_ROUTE),
]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name, route", RUNS)
def test_library_model(zoo: ModuleType, name: str, route: str, tmp_path: Path) -> None:
    if route == "pt2" and name in NOT_EXPORTED:
        pytest.skip("torch.export does not take it")
    row = run(zoo, name, route, tmp_path)
    assert min(row.max_abs, row.max_rel) < 1e-4
    if name in PROMISED:
        assert row.max_abs < 1e-4
    assert row.magnitude > 1e-3  # else the comparison would mean little
    assert len(row.sizes) >= 2
    batches = {sizes.get("B") for sizes in row.sizes}
    if name in PROMISED and (name, route) not in NO_BATCH:
        assert batches == {1, 3, 17}


@pytest.mark.parametrize("name", REFUSED)
def test_library_model_is_refused(zoo: ModuleType, name: str, tmp_path: Path) -> None:
    with pytest.raises(TranspileError) as error:
        run(zoo, name, "pt", tmp_path)
    assert REFUSED[name] in str(error.value)
    assert not (tmp_path / "out").exists()
