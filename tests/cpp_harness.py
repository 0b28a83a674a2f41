"""Op calls as C++: one program for all of them, which reads every input and writes every result.

A function is C++ text over the operands `a0`, `a1` ..., the sizes B, L, H, W, and `weights`. A run
calls one with arrays of its own. A function that does not compile, and a run that throws or
crashes, fails alone.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_transpile.codegen.bound import (
    Apply,
    Binder,
    Bound,
    SlotRef,
    Typed,
    Verbatim,
    bind,
    plain_scalar,
)
from mlx_transpile.codegen.cpp import nn_header, used_helpers
from mlx_transpile.codegen.cpp_functions import Parameter, helper_parameters, layers
from mlx_transpile.codegen.cpp_render import Names, argument, number, render_cpp
from mlx_transpile.codegen.slots import TOKEN, Mark, MarkedFloat, MarkedInt, mark_node, marked
from mlx_transpile.cpp_build import find_compiler, find_mlx
from mlx_transpile.ir import Node, Value
from mlx_transpile.ir.tree import Layer
from mlx_transpile.ir.types import DType

COMPILER, MLX = find_compiler(), find_mlx()
MISSING = (
    "there is no C++ compiler"
    if COMPILER is None
    else "mlx has no C++ headers"
    if MLX is None
    else ""
)
UNIT = 80  # functions a translation unit
SYMBOLS = ("B", "L", "H", "W")
NO_TIME = 120  # seconds until a run counts as stuck
INPUTS, OUTPUTS, FAILED = "inputs.safetensors", "outputs.safetensors", "failed.json"


# ---- what is generated


def binder(node: Node, sizes: dict[str, int] | None = None) -> Binder:
    """Operand i is the variable `a<i>`; with `sizes`, the widths of parameters are numbers."""

    def operand(i: int) -> Bound:
        value = node.operands[i]
        assert isinstance(value, Value)
        return Typed(Verbatim(f"a{i}"), value.tensor)

    def width(operand: int, axis: int) -> Bound:
        size = node.type(operand).shape[axis]
        return plain_scalar(size if isinstance(size, int) else (sizes or {})[str(size)], None)

    return Binder(operand, lambda dim: dim, width, plain_scalar)


def expression(node: Node) -> str:
    """The C++ expression that the node prints as."""
    return render_cpp(bind(node.row.tree(node), binder(node)), Names()).code


def slotted_expression(node: Node) -> tuple[str, list[int | float]]:
    """The same where numbers are members of the class: `s0`, `s1` ... and their values."""
    values: list[int | float] = []

    def scalar(value: Any, dtype: DType | None) -> Bound:
        if not isinstance(value, MarkedInt | MarkedFloat):
            return plain_scalar(value, dtype)
        values.append(float(value) if isinstance(value, float) else int(value))
        return SlotRef(len(values) - 1)

    shadow = mark_node(node, _marked, operands=True)
    bound = bind(shadow.row.tree(shadow), replace(binder(node), scalar=scalar))
    code = render_cpp(bound, Names(slot=lambda slot: values[slot.index])).code
    return TOKEN.sub(lambda found: found[1] + found[2], code), values


def _marked(node: Node, name: str, value: Any) -> Any:
    """The numbers that a body marks: see BodyBuilder."""
    mark = Mark((node, name), name)
    kind = node.row.attrs[name].kind
    if kind == "float" and isinstance(value, int | float) and not isinstance(value, bool):
        return marked(float(value), mark)
    if kind in ("dims", "ints") and isinstance(value, tuple):
        return tuple(marked(v, mark) if isinstance(v, int) and v > 1 else v for v in value)
    return value


def construction(layer: Layer, node: Node, sizes: dict[str, int]) -> str:
    """The arguments that construct the layer, after the weights and its name."""
    bound = binder(node, sizes)
    parameters = layer_parameters(layer.cls)
    given = {p.name: bind(a, bound) for p, a in zip(parameters, layer.args, strict=False)}
    given |= {k: bind(v, bound) for k, v in layer.kwargs}
    unknown = given.keys() - {p.name for p in parameters}
    assert not unknown, f"{layer.cls} has no parameters {unknown}"
    last = max((i for i, p in enumerate(parameters) if p.name in given), default=-1)
    return "".join(
        ", " + (argument(p.kind, given[p.name], Names()) if p.name in given else p.default)
        for p in parameters[: last + 1]
    )


def layer_parameters(cls: str) -> tuple[Parameter, ...]:
    name = cls.removeprefix("runtime.")
    return helper_parameters(name) if cls.startswith("runtime.") else layers()[cls]


def call_of(layer: Layer, node: Node) -> str:
    """The call of the layer `part`."""
    if layer.inputs is None:
        weights = {i for i, _ in layer.params}
        kept = [i for i, o in enumerate(node.operands) if isinstance(o, Value) and i not in weights]
        args = tuple(binder(node).operand(i) for i in kept)
    else:
        args = tuple(bind(tree, binder(node)) for tree in layer.inputs)
    return render_cpp(Apply(Verbatim("part"), args), Names()).code  # type: ignore[arg-type]


def op_function(node: Node) -> str:
    """The body of the function that runs the node."""
    return _operands(node, set()) + _results(node, expression(node))


def slotted_function(node: Node) -> str:
    """The same with its numbers as members."""
    code, values = slotted_expression(node)
    members = "".join(
        f"{'float' if isinstance(v, float) else 'int'} s{i} = {number(v)};\n"
        for i, v in enumerate(values)
    )
    return _operands(node, set()) + members + _results(node, code)


def layer_function(layer: Layer, node: Node, sizes: dict[str, int]) -> str:
    """The body of the function that makes and runs the node's layer."""
    made = construction(layer, node, sizes)
    part = f'nn::{layer.cls.rpartition(".")[2]} part(weights, "part"{made});\n'
    return (
        _operands(node, {i for i, _ in layer.params}) + part + _results(node, call_of(layer, node))
    )


def _operands(node: Node, weights: set[int]) -> str:
    arrays = [i for i, o in enumerate(node.operands) if isinstance(o, Value) and i not in weights]
    return "".join(
        f"[[maybe_unused]] const mx::array& a{i} = arrays.at({n});\n" for n, i in enumerate(arrays)
    )


def _results(node: Node, code: str) -> str:
    """Taken apart as a method takes them: the call must give a tuple, or one array."""
    names = [f"r{i}" for i in range(len(node.results))]
    if not node.row.several:
        return f"auto r0 = {code};\nreturn only(r0);\n"
    return f"auto [{', '.join(names)}] = {code};\nreturn {{{', '.join(names)}}};\n"


# ---- the program


@dataclass
class Run:
    """One call: the function's text, its arrays, the tensors of its layer, the sizes."""

    function: str
    arrays: list[mx.array]
    sizes: dict[str, int]
    weights: dict[str, mx.array] = field(default_factory=dict)


HEADER = """
#pragma once
#include "nn.h"
namespace cases {
using Arrays = std::vector<mx::array>;
struct Call { Arrays arrays; nn::Weights weights; int B, L, H, W; };
using Function = Arrays (*)(const Call&);

// Only what is an array already.
template <typename T> Arrays only(const T& result) {
  static_assert(std::is_same_v<T, mx::array>);
  return {result};
}
}
#define ARGUMENTS \\
  [[maybe_unused]] const auto& arrays = call.arrays; \\
  [[maybe_unused]] const auto& weights = call.weights; \\
  [[maybe_unused]] int B = call.B, L = call.L, H = call.H, W = call.W
"""

MAIN = """
#include "cases.h"
#include <cstdio>
#include <sstream>
namespace cases {
%(declared)s
const std::vector<Function> functions = {%(names)s};
}
using namespace cases;

// run INPUTS OUTPUTS: one call for each key of the metadata, as "function B L H W arrays".
int main(int, char** argv) {
  auto [inputs, metadata] = mx::load_safetensors(argv[1]);
  std::unordered_map<std::string, nn::Tensors> weights;
  for (const auto& [key, value] : inputs) {
    if (auto at = key.find("/part."); at != std::string::npos) {
      weights[key.substr(0, at)].insert({key.substr(at + 1), value});
    }
  }
  std::unordered_map<std::string, mx::array> outputs = {{"-/0", mx::array(0)}};
  std::unordered_map<std::string, std::string> errors;
  for (const auto& [run, text] : metadata) {
    std::puts(run.c_str());
    std::fflush(stdout);
    try {
      size_t function, count;
      Call call{{}, nn::Weights(weights[run]), 0, 0, 0, 0};
      std::istringstream(text) >> function >> call.B >> call.L >> call.H >> call.W >> count;
      for (size_t i = 0; i < count; ++i) {
        call.arrays.push_back(inputs.at(run + "/" + std::to_string(i)));
      }
      auto results = functions[function](call);
      mx::eval(results);
      for (const auto& name : call.weights.unused()) {
        throw std::runtime_error("the layer does not read " + name);
      }
      for (size_t i = 0; i < results.size(); ++i) {
        outputs.insert({run + "/" + std::to_string(i), results[i]});
      }
    } catch (const std::exception& error) {
      errors[run] = error.what();
    }
  }
  mx::save_safetensors(argv[2], outputs, errors);
}
"""


def execute(folder: Path, runs: dict[str, Run]) -> None:
    """Builds and runs the program; leaves its results in the folder, see `results_in`."""
    functions = list(dict.fromkeys(run.function for run in runs.values()))
    broken = build(folder, functions)
    place = {text: i for i, text in enumerate(functions)}
    failed = {n: broken[place[r.function]] for n, r in runs.items() if place[r.function] in broken}
    while True:
        left = {n: r for n, r in runs.items() if n not in failed}
        _write(folder / INPUTS, left, place)
        crashed = _start(folder)
        if not crashed:
            break
        failed |= crashed
    (folder / FAILED).write_text(json.dumps(failed))


def results_in(folder: Path) -> dict[str, list[mx.array] | str]:
    """The results of each run, or why it has none."""
    outputs: Any
    outputs, thrown = mx.load(str(folder / OUTPUTS), return_metadata=True)
    found: dict[str, Any] = {}
    for key in sorted(outputs, key=lambda k: int(k.rpartition("/")[2] or 0)):
        found.setdefault(key.rpartition("/")[0], []).append(outputs[key])
    return {**found, **thrown, **json.loads((folder / FAILED).read_text())}


def _write(path: Path, runs: dict[str, Run], place: dict[str, int]) -> None:
    arrays = {f"{n}/{i}": a for n, run in runs.items() for i, a in enumerate(run.arrays)}
    arrays |= {f"{n}/part.{key}": a for n, run in runs.items() for key, a in run.weights.items()}
    metadata = {
        n: " ".join(map(str, [place[r.function], *(r.sizes[s] for s in SYMBOLS), len(r.arrays)]))
        for n, r in runs.items()
    }
    mx.save_safetensors(str(path), {**arrays, "-": mx.array(0)}, metadata)


def _start(folder: Path) -> dict[str, str]:
    """Runs the program; what ended it before its time, by the run that it was at."""
    command = [
        str(folder / "run"),
        *(str(folder / f"{n}.safetensors") for n in ("inputs", "outputs")),
    ]
    log = folder / "started.txt"
    with log.open("w") as out:
        try:
            code = subprocess.run(command, stdout=out, timeout=NO_TIME, check=False).returncode
        except subprocess.TimeoutExpired:
            code = -signal.SIGALRM
    if code == 0:
        return {}
    started = log.read_text().split("\n")[:-1]
    if not started:
        raise RuntimeError(f"the program ends with code {code} before its first run")
    how = f"is ended by {signal.Signals(-code).name}" if code < 0 else f"exits with code {code}"
    return {started[-1]: f"the program {how}"}


def build(folder: Path, functions: list[str]) -> dict[int, str]:
    """The program `run`; the functions that do not compile, each with what the compiler says."""
    helpers = set(used_helpers("\n".join(functions))) - {"Parts"}
    (folder / "nn.h").write_text(nn_header("cases", sorted(helpers)))
    (folder / "cases.h").write_text(HEADER)
    said = _compile(folder, "-x", "c++-header", "cases.h", "-o", "cases.h.gch")
    if said:
        raise RuntimeError(f"the helpers do not compile:\n{said}")
    names = [f"case_{i}" for i in range(len(functions))]
    declared = "\n".join(f"Arrays {n}(const Call& call);" for n in names)
    (folder / "main.cpp").write_text(MAIN % {"declared": declared, "names": ", ".join(names)})
    numbered = list(enumerate(functions))
    units = [numbered[i : i + UNIT] for i in range(0, len(functions), UNIT)]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
    with ThreadPoolExecutor(cores) as pool:
        main = pool.submit(
            _compile, folder, "-include", "cases.h", "-c", "main.cpp", "-o", "main.o"
        )
        found = list(pool.map(lambda u: _unit(folder, *u), enumerate(units)))
    if main.result():
        raise RuntimeError(f"the program does not compile:\n{main.result()}")
    objects = ["main.o", *(f"unit_{i}.o" for i in range(len(units)))]
    said = _compile(folder, *objects, "-o", "run", f"-L{MLX}/lib", "-lmlx", f"-Wl,-rpath,{MLX}/lib")
    if said:
        raise RuntimeError(f"the program does not link:\n{said}")
    return {k: v for broken in found for k, v in broken.items()}


def _unit(folder: Path, number: int, functions: list[tuple[int, str]]) -> dict[int, str]:
    """Compiles functions, without those that do not compile."""
    broken: dict[int, str] = {}
    while True:
        texts = [_definition(i, "" if i in broken else text) for i, text in functions]
        source = f"unit_{number}.cpp"
        (folder / source).write_text(f"namespace cases {{\n{''.join(texts)}}}\n")
        said = _compile(folder, "-include", "cases.h", "-c", source, "-o", f"unit_{number}.o")
        if not said:
            return broken
        more = {i: m for i, m in _blamed(said).items() if i not in broken}
        if not more:
            raise RuntimeError(f"{source} does not compile:\n{said}")
        broken |= {i: f"does not compile:\n{dict(functions)[i]}{m}" for i, m in more.items()}


def _definition(number: int, text: str) -> str:
    """The compiler names the function's number in place of a file."""
    body = text or 'throw std::logic_error("this does not compile");\n'
    return f'Arrays case_{number}(const Call& call) {{\nARGUMENTS;\n#line 1 "case_{number}"\n{body}}}\n'


def _blamed(said: str) -> dict[int, str]:
    """The functions that a compiler's output names, each with its first error."""
    found: dict[int, str] = {}
    for block in re.split(
        r"(?m)^(?=.*\bIn (?:function|instantiation|substitution|member)\b)", said
    ):
        error = re.search(r"(?m)^.*\berror: .*(?:\n.*){0,3}", block)
        for match in re.finditer(r"(?m)^.*\bcase_(\d+):\d+:.*(?:\n.*){0,3}", block):
            own = match[0] if "error:" in match[0] else error and error[0]
            if own:
                found.setdefault(int(match[1]), own)
    return found


def _compile(folder: Path, *arguments: str) -> str:
    """What the compiler says where it fails."""
    command = [str(COMPILER), "-std=c++20", "-O0", "-w", f"-isystem{MLX}/include", *arguments]
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False, env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip
    return done.stdout if done.returncode else ""


# ---- signatures


def signatures(source: str, name: str) -> list[list[tuple[str, str]]]:
    """(name, default) of each parameter, for every C++ function or constructor of that name."""
    named = re.sub(r"/\* (\w+) \*/", r"\1", source)  # a parameter that is not read
    code = re.sub(r"//.*|/\*.*?\*/", "", named)
    code = re.sub(r"\(\*(\w+)\)\([^()]*\)", r"\1", code)  # a pointer to a function
    found = []
    for match in re.finditer(rf"(?<![\w.:~]){name}\(", code):
        pieces = [p.strip() for p in _split_commas(_until_closed(code[match.end() :]))]
        if all(_PARAMETER.fullmatch(p) for p in pieces):
            found.append([_declared(p) for p in pieces])
    return found


# "const std::string& name = value", also "const std::string&" alone
_PARAMETER = re.compile(r"[\w:<>,&\s*]+?(&|[\s&]\w+(\s*=.*)?)", re.DOTALL)


def _until_closed(text: str) -> str:
    depth = 1
    for i, char in enumerate(text):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth == 0:
            return text[:i]
    return text


def _split_commas(text: str) -> Iterable[str]:
    """The pieces between the commas that stand in no bracket."""
    depth, piece = 0, ""
    for char in text:
        depth += {"(": 1, "<": 1, "{": 1, ")": -1, ">": -1, "}": -1}.get(char, 0)
        if char == "," and depth == 0:
            yield piece
            piece = ""
        else:
            piece += char
    if piece.strip():
        yield piece


def _declared(parameter: str) -> tuple[str, str]:
    declared, _, default = parameter.partition("=")
    return re.findall(r"\w+", declared)[-1], default.strip()


__all__ = [
    "FAILED", "MISSING", "Run", "execute", "layer_function", "op_function", "results_in",
    "signatures", "slotted_function",
]  # fmt: skip
