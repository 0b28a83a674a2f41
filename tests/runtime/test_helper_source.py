"""What the emitter reads: the text of each helper, without what only this repository has."""

import ast
import subprocess
import sys

import pytest
from torch_reference import helper, runtime

NAMES = runtime.helper_names()


def definitions(source):
    """Functions, classes and constants at the top of a text."""
    nodes = ast.parse(source).body
    named = [n.name for n in nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    return named + [n.targets[0].id for n in nodes if isinstance(n, ast.Assign)]


def test_text_of_a_helper():
    cell = runtime.helper_source("lstm_cell")
    assert cell.name == "lstm_cell"
    assert cell.imports == ("import mlx.core as mx",)
    assert cell.depends == ("affine", "lstm_gates")
    assert cell.source.startswith("def lstm_cell(\n")
    assert cell.source.endswith("\n")


@pytest.mark.parametrize("name", ["", "no_such_helper", "__init__", "../__init__", "lstm_cell.py"])
def test_unknown_names(name):
    with pytest.raises(KeyError):
        runtime.helper_source(name)


def test_closure_puts_dependencies_first():
    names = [h.name for h in runtime.helper_closure(["LSTM", "lstm_cell", "affine"])]
    assert sorted(names) == sorted(set(names))
    assert names.index("affine") < names.index("run_lstm") < names.index("LSTM")
    assert names.index("lstm_gates") < names.index("lstm_cell")


def test_names_differ_without_case():
    """One file each, on file systems that fold case too."""
    assert len({n.lower() for n in NAMES}) == len(NAMES)


def test_private_names_belong_to_one_helper():
    names = [d for n in NAMES for d in definitions(runtime.helper_source(n).source)]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("name", NAMES)
def test_shape_of_a_helper(name):
    source = runtime.helper_source(name).source
    public = [d for d in definitions(source) if not d.startswith("_")]
    assert public == [name]
    docstring = helper(name).__doc__
    assert docstring and 1 <= len(docstring.strip().splitlines()) <= 5
    assert max(len(line) for line in source.splitlines()) <= 88


@pytest.mark.parametrize("name", NAMES)
def test_pasted_text_stands_alone(name):
    helpers = runtime.helper_closure([name])
    imports = sorted({line for h in helpers for line in h.imports})
    modules = {line.split()[1].split(".")[0] for line in imports}
    assert modules <= sys.stdlib_module_names | {"mlx"}
    namespace = {}
    exec("\n".join([*imports, *(h.source for h in helpers)]), namespace)
    assert namespace[name]


def test_reading_needs_no_mlx():
    code = (
        "import importlib.util, sys; "
        f"spec = importlib.util.spec_from_file_location('r', {runtime.__file__!r}); "
        "r = sys.modules['r'] = importlib.util.module_from_spec(spec); "
        "spec.loader.exec_module(r); r.helper_closure(r.helper_names()); "
        "assert not {'mlx', 'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
