"""Names that a model brings along stay data: none of them becomes code in what is emitted."""

from __future__ import annotations

import ast
import linecache
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from acceptance import SOURCES, save, unexpected
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch import nn

from mlx_transpile import transpile
from mlx_transpile.emitted_model import EmittedModel
from mlx_transpile.ir.text import parse_graph
from models.case import Case, floats, seeded
from models.hostile import Hostile, hostile_names, hostile_names_export

PIECES = [
    "'", '"', '"""', "'''", "\\", "\n", "\r", "\t", "\x00", "\u2028", "{", "}", "{{ x }}", "{% raw %}", "{# #}", "#", ";",
    ":", ")", "]", "(", " ", "=", "@", "%s", "é", "\u202e", "\U0001f600", "import os", "raise SystemExit", "os._exit(3)",
    "__import__('os')", "exec", "self", "mx", "args", "x", "1", "class", "None", "weight", "_", "-", "\\n", "\\x41",
]  # fmt: skip
strings = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join)


def usable(name: str) -> bool:
    """A module may have it as the name of a child and of a parameter."""
    return "." not in name and not hasattr(Hostile, name) and name not in nn.Module().__dict__


names = st.lists(
    strings.map(lambda s: s.replace(".", "_")).filter(usable), min_size=1, max_size=4, unique=True
)
classes = st.lists(strings.filter(lambda s: "\0" not in s), min_size=1, max_size=2)
keys = st.lists(strings, min_size=1, max_size=3, unique=True)


def check_folder(out: Path, case: Case) -> None:
    """Every file is sound, its strings are literals, and the model computes what the source does."""
    assert unexpected((out / "model.py").read_text()) == []
    for name in SOURCES:
        tree = ast.parse((out / name).read_text())
        called = {
            n.func.id
            for n in ast.walk(tree)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        assert called.isdisjoint({"exec", "eval", "compile", "__import__", "exit", "quit"})
    with torch.no_grad():
        expected = case.module(*case.inputs)
    model = EmittedModel(out)
    try:
        result = model.run([x.numpy() for x in case.inputs])
    finally:
        model.close()
    assert list(result) == list(expected)
    for key in result:
        np.testing.assert_allclose(result[key], expected[key].numpy(), rtol=1e-4, atol=1e-4)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(names, classes, keys, strings)
@example(['"""\nraise SystemExit\n"""'], ["a\nimport os"], ['"]; import os; ["'], '"""')
@example(["a'b", 'a"b', "a\\"], ["Model", "mx"], ["\\", "\n", "'"], "x\nimport os")
def test_names_of_modules_parameters_classes_and_outputs(
    names: list[str], classes: list[str], keys: list[str], title: str
) -> None:
    """Given as a module: torch.export takes any name without a dot."""
    case = hostile_names(names, classes, keys)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        transpile(case.module, out, example_inputs=case.inputs, name=title, dump_ir=True)
        check_folder(out, case)
        for dump in (out / "ir").glob("*.ir"):
            parse_graph(dump.read_text(), constants=_constants(out))


def _constants(out: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    found = list((out / "ir").glob("*.safetensors"))
    return {k: v for path in found for k, v in load_file(path).items()}


# ---- names of files and of constants

FILE_NAMES = (
    'a"""\nimport os #.py',
    "b'\\\n{{ 7 }}.py",
    "\u2028raise SystemExit(3).py",
)
CODE = """
import torch
from torch import nn

class Shifted(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.name = name
        self.register_buffer(name, torch.tensor([1.0, 2.0, 3.0]), persistent=False)
        self.proj = nn.Linear(3, 3)

    def forward(self, x):
        shift = torch.tensor([0.5, 0.25, 4.0])
        mixed = self.proj(x) * getattr(self, self.name) + shift
        return {self.name: mixed, "shape": torch.relu(mixed - shift)}
"""


def shifted(file: str, name: str) -> Case:
    """A module whose code stands in a file of that name, and whose buffer has that name."""
    linecache.cache[file] = (len(CODE), None, CODE.splitlines(keepends=True), file)
    found: dict[str, type[nn.Module]] = {"__name__": "shifted"}  # type: ignore[dict-item]
    exec(compile(CODE, file, "exec"), found)
    return Case(seeded(found["Shifted"](name)), (floats(2, 3),), ({0: "B"},))


@pytest.mark.parametrize("route", ["pt", "module"])
@pytest.mark.parametrize("file", FILE_NAMES)
def test_names_of_files_and_constants(file: str, route: str, tmp_path: Path) -> None:
    name = "x' or exit(1) or '" if route == "pt" else '"""\nraise SystemExit\n"""'
    case = shifted(file, name)
    if route == "pt":
        archive = tmp_path / file.replace(".py", ".pt")
        save(case, "pt", archive)
        transpile(archive, tmp_path / "out", dump_ir=True)
    else:
        transpile(case.module, tmp_path / "out", example_inputs=case.inputs, dump_ir=True)
    check_folder(tmp_path / "out", case)
    for dump in (tmp_path / "out" / "ir").glob("*.ir"):
        parse_graph(dump.read_text(), constants=_constants(tmp_path / "out"))


@pytest.mark.parametrize("build", [hostile_names, hostile_names_export])
def test_names_of_the_test_models(build: type[Case], tmp_path: Path) -> None:
    case = build()
    transpile(case.module, tmp_path / "out", example_inputs=case.inputs)
    check_folder(tmp_path / "out", case)


# ---- the check itself


@pytest.mark.parametrize(
    "text",
    [
        '"""A model."""\nimport os',
        "print(1)",
        "class Model:\n    import os",
        "def f(x):\n    while x:\n        pass",
        "def f(x):\n    return __import__('os')",
        "def f(x):\n    return x.__class__",
        "def f(x):\n    exit(3)",
        "x = 1",
    ],
)
def test_code_that_does_not_belong_is_found(text: str) -> None:
    assert unexpected(text)
