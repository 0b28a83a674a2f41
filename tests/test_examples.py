"""The bundled example is small, is what its script makes, and is dynamic where it says so."""

import runpy
import zipfile

import pytest
import torch


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
