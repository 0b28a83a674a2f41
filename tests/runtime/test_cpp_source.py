"""The text of the C++ helpers: what the emitter reads and what it relies on. Needs no compiler."""

import ast
import re
from pathlib import Path

import pytest
from torch_reference import runtime

FOLDER = Path(runtime.__file__).parent / "cpp"
NAMES = runtime.cpp_helper_names()
IN_BOTH = sorted(set(NAMES) & set(runtime.helper_names()) - {"Recurrent"})  # a base class


def test_text_of_a_helper():
    linear = runtime.cpp_helper_source("Linear")
    assert linear.includes == ("#include <optional>", "#include <string>", "#include <variant>")
    assert linear.depends == ("QuantizedWeight", "Weights", "affine")
    assert linear.source.startswith("// ")
    assert linear.source.endswith("};\n")


@pytest.mark.parametrize("name", ["", "no_such_helper", "../cpp/Linear", "Linear.h"])
def test_unknown_names(name):
    with pytest.raises(KeyError):
        runtime.cpp_helper_source(name)


def test_closure_puts_dependencies_first():
    names = [h.name for h in runtime.cpp_closure(["LSTM", "affine"])]
    assert len(names) == len(set(names))
    for name in names:
        for dependency in runtime.cpp_helper_source(name).depends:
            assert names.index(dependency) < names.index(name)


def test_names_differ_on_file_systems_that_fold_case():
    files = [str(path).lower() for path in FOLDER.rglob("*.h")]
    assert len(files) == len(set(files)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_conventions(name):
    """Text that is pasted into a namespace: no scope of its own, 80 columns, a comment first."""
    source = runtime.cpp_helper_source(name).source
    assert source.startswith(("// ", "template"))
    assert not re.search(r"^\s*(namespace|using namespace|#(?!if|else|endif))", source, re.M)
    assert all(len(line) <= 80 for line in source.splitlines())
    assert re.search(rf"\b{name}\b", source)


def commas(text):
    """Split at commas outside of brackets."""
    depth, parts = 0, [""]
    for char in text:
        depth += (char in "<({[") - (char in ">)}]")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part for part in parts if part.strip()]


def cpp_parameters(name):
    """The parameter names of each function or constructor of that name."""
    source = runtime.cpp_helper_source(name).source
    found = []
    for match in re.finditer(rf"(?<![\w:.]){name}\(", source):
        depth, end = 1, match.end()
        while depth:
            depth += (source[end] == "(") - (source[end] == ")")
            end += 1
        if re.match(r"\s*(const\s*)?[{:]", source[end:]):
            found.append([parameter(p) for p in commas(source[match.end() : end - 1])])
    return found


def parameter(declaration):
    pointer = re.search(r"\(\*(\w+)\)", declaration)
    return pointer[1] if pointer else re.findall(r"\w+", declaration.partition("=")[0])[-1]


def python_parameters(name):
    tree = ast.parse(runtime.helper_source(name).source)
    found = next(n for n in tree.body if getattr(n, "name", "") == name)
    if isinstance(found, ast.ClassDef):
        inits = [n for n in found.body if getattr(n, "name", "") == "__init__"]
        if not inits:
            return python_parameters(ast.unparse(found.bases[0]))
        return ["weights", "name"] + [a.arg for a in inits[0].args.args[1:]]
    return [a.arg for a in found.args.args]


@pytest.mark.parametrize("name", IN_BOTH)
def test_parameters_are_those_of_python(name):
    """The printer places keyword arguments by the Python signature."""
    expected = python_parameters(name)
    if name == "GRU":
        expected.remove("proj_size")  # of the base class; torch allows it in an LSTM alone
    assert expected in cpp_parameters(name)
