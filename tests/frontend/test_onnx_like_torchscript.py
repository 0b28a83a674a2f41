"""By way of ONNX a model becomes the source that it becomes by way of TorchScript, but for the names
of variables (an ONNX file has none), of classes (the older exporter writes none), and for batch
norms, which exporters fold away."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from mlx_transpile import transpile
from tests.models import MODELS
from tests.onnx_tools import exported

GENERATED = Path(__file__).parents[2] / "generated"
BUILDERS = {
    "llama": "llama_decoder",
    "bert": "bert_encoder",
    "resnet": "resnet",
    "bilstm": "bilstm_tagger",
}
# Exactly the same statements, or the same configuration. The newer exporter takes seconds.
SAME_CODE = [("llama", "dynamo"), ("llama", "legacy"), ("bilstm", "legacy")]
SAME_CONFIG = [*SAME_CODE, ("resnet", "legacy")]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Validated output folders, made when they are first asked for."""
    made: dict[tuple[str, str], Path] = {}

    class Outputs(dict[tuple[str, str], Path]):
        def __missing__(self, key: tuple[str, str]) -> Path:
            folder = tmp_path_factory.mktemp("-".join(key))
            exported(MODELS[BUILDERS[key[0]]](), key[1], folder / "model.onnx")
            result = transpile(folder / "model.onnx", folder / "out", validate=True)
            assert result.ok
            self[key] = folder / "out"
            return self[key]

    return Outputs(made)


@pytest.mark.parametrize("name, exporter", SAME_CONFIG)
def test_the_configuration_is_the_same(outputs: Any, name: str, exporter: str) -> None:
    config = json.loads((outputs[name, exporter] / "config.json").read_text())
    assert config == json.loads((GENERATED / name / "config.json").read_text())


@pytest.mark.parametrize("name, exporter", SAME_CODE)
def test_the_code_is_the_same(outputs: Any, name: str, exporter: str) -> None:
    found = (outputs[name, exporter] / "model.py").read_text()
    assert shape_of(found) == shape_of((GENERATED / name / "model.py").read_text())


def test_batch_norms_are_all_that_a_cnn_loses(outputs: Any) -> None:
    text = (outputs["resnet", "legacy"] / "model.py").read_text()
    theirs = (GENERATED / "resnet" / "model.py").read_text()
    assert len(classes(text)) == len(classes(theirs))
    assert text.count("transpose(") == theirs.count("transpose(") == 1


def classes(text: str) -> list[str]:
    return [n.name for n in ast.parse(text).body if isinstance(n, ast.ClassDef)]


def shape_of(text: str) -> list[str]:
    """The classes' statements with variables and classes numbered in the order of appearance."""
    tree = ast.parse(text)
    names = {c: f"Class{i}" for i, c in enumerate(classes(text))}
    return [ast.unparse(_Renamed(names).visit(c)) for c in tree.body if isinstance(c, ast.ClassDef)]


class _Renamed(ast.NodeTransformer):
    """Numbers the values of each method's variables, and uses the given names for classes."""

    def __init__(self, names: dict[str, str]):
        self.names, self.locals, self.count = names, dict[str, str](), 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        self.locals, self.count = {}, 0
        if node.name == "__call__":
            for arg in node.args.args:
                arg.arg = self.new(arg.arg)
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        node.name = self.names.get(node.name, node.name)
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> Any:
        """The value before the name: it may read what the name was before."""
        node.value = self.visit(node.value)
        node.targets = [self.visit(t) for t in node.targets]
        return node

    def visit_Name(self, node: ast.Name) -> Any:
        if isinstance(node.ctx, ast.Store):
            node.id = self.new(node.id)
        else:
            node.id = self.locals.get(node.id, self.names.get(node.id, node.id))
        return node

    def new(self, name: str) -> str:
        self.locals[name] = f"v{self.count}"
        self.count += 1
        return self.locals[name]
