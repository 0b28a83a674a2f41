"""The pipeline keeps the numbers of captured models, pass by pass verified."""

import numpy as np
import pytest
from pass_tools import check_program

from models import MODELS, SCRIPTED

torch = pytest.importorskip("torch")

from mlx_transpile.frontend import capture  # noqa: E402


@pytest.mark.parametrize("name", [n for n in MODELS if n not in SCRIPTED])
def test_numbers_stay(name, tmp_path):
    case = MODELS[name]()
    path = tmp_path / f"{name}.pt"
    with torch.no_grad():
        torch.jit.save(torch.jit.trace(case.module, case.inputs, strict=False), str(path))
    captured = capture(str(path))
    found = check_program(captured.program, captured.example_inputs, captured.tensors)
    for value in found:
        assert np.isfinite(value.astype(np.float64)).all()
