"""The bundled example is small, is what its script makes, and is dynamic where it says so."""

import re
import runpy
import zipfile

import pytest
import torch

from mlx_transpile import transpile


@pytest.fixture(scope="module")
def archive(root):
    return root / "examples" / "llama_demo" / "llama_demo.pt"


def test_archive_is_small_and_keeps_its_example_inputs(archive):
    assert archive.stat().st_size < 1_000_000
    assert "llama_demo/traced_inputs.pkl" in zipfile.ZipFile(archive).namelist()


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (17, 2)])
def test_archive_is_what_the_script_makes(archive, shape):
    source = runpy.run_path(str(archive.with_name("make_model.py")))["build"]()
    ids = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.load(archive)(ids), source(ids))


def test_the_readme_shows_what_the_example_becomes(root, archive, tmp_path):
    transpile(archive, tmp_path / "out")
    shown = re.findall(r"```python\n(class .*?)```", (root / "README.md").read_text(), re.DOTALL)
    assert len(shown) == 1
    assert shown[0] in (tmp_path / "out" / "model.py").read_text()
