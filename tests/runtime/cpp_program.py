"""Many calls of C++ helpers in one program, which reads its inputs from Python's arrays.

A case is a C++ expression: an array, or a tuple, std::array or vector of them. It sees its inputs as
`x[0]`, `x[1]` ..., and the tensors and the prefix of a layer as `weights` and `prefix`.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import mlx.core as mx
from torch_reference import runtime

COMPILER = next(
    (found for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None
)

PROGRAM = """
{includes}
#include <cstdio>
#include <map>
#include "mlx/mlx.h"

namespace test {{
namespace mx = mlx::core;

namespace nn {{
{helpers}
}} // namespace nn

using Arrays = std::vector<mx::array>;
using Case = Arrays (*)(const Arrays&, const nn::Weights&, const std::string&);

inline Arrays list(const mx::array& result) {{
  return {{result}};
}}

inline Arrays list(const Arrays& results) {{
  return results;
}}

template <typename Tuple> // std::tuple or std::array
Arrays list(const Tuple& results) {{
  return std::apply([](const auto&... a) {{ return Arrays{{a...}}; }}, results);
}}

#define CASE(...)                               \\
  [](const Arrays& x [[maybe_unused]],          \\
     const nn::Weights& weights [[maybe_unused]],  \\
     const std::string& prefix [[maybe_unused]]) -> Arrays {{ \\
    return list(__VA_ARGS__);                   \\
  }}

const std::map<std::string, Case> cases = {{
{cases}
}};

}} // namespace test

using namespace test;

// run WEIGHTS: loads the files, and prints what is wrong with each.
int load(int count, char** paths) {{
  for (int i = 0; i < count; ++i) {{
    try {{
      nn::Weights::load(paths[i]);
      std::puts("");
    }} catch (const std::exception& error) {{
      std::puts(error.what());
    }}
  }}
  return 0;
}}

// run - INPUTS OUTPUTS: one run for each "case/variant" that the metadata lists.
int main(int argc, char** argv) {{
  if (argv[1] != std::string("-")) {{
    return load(argc - 1, argv + 1);
  }}
  auto [inputs, metadata] = mx::load_safetensors(argv[2]);
  nn::Weights weights(inputs, metadata);
  metadata.erase("config");
  std::unordered_map<std::string, mx::array> outputs;
  std::unordered_map<std::string, std::string> errors;
  for (const auto& [run, count] : metadata) {{
    try {{
      Arrays x;
      for (int i = 0; i < std::stoi(count); ++i) {{
        x.push_back(inputs.at(run + "/" + std::to_string(i)));
      }}
      auto name = run.substr(0, run.rfind('/'));
      auto results = cases.at(name)(x, weights, run + "/");
      mx::eval(results);
      for (size_t i = 0; i < results.size(); ++i) {{
        outputs.insert({{run + "/" + std::to_string(i), results[i]}});
      }}
    }} catch (const std::exception& error) {{
      errors[run] = error.what();
    }}
  }}
  outputs.insert({{"no output", mx::array(0)}});
  mx::save_safetensors(argv[3], outputs, errors);
  return 0;
}}
"""


def build(folder: Path, cases: dict[str, str], helpers: list[str]) -> tuple[Path, str]:
    """The program, and what the compiler said beside building it."""
    sources = runtime.cpp_closure(["Weights", *helpers])
    text = PROGRAM.format(
        includes="\n".join(sorted({line for s in sources for line in s.includes})),
        helpers="\n".join(s.source for s in sources),
        cases=",\n".join(f"{{{json.dumps(name)}, CASE({cpp})}}" for name, cpp in cases.items()),
    )
    (folder / "program.cpp").write_text(text)
    mlx = Path(mx.__file__).parent
    command = [
        *(COMPILER, "-std=c++20", "-O0", "-Wall", "-Wextra", folder / "program.cpp"),
        *("-o", folder / "program", "-isystem", mlx / "include"),
        *("-L", mlx / "lib", "-lmlx", f"-Wl,-rpath,{mlx / 'lib'}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{folder / 'program.cpp'} does not compile:\n{done.stderr}")
    return folder / "program", done.stderr


def run(
    program: Path,
    inputs: dict[str, list[mx.array]],
    parameters: dict[str, mx.array] | None = None,
    config: dict[str, Any] | None = None,
) -> dict[str, list[mx.array] | str]:
    """The results of each "case/variant" in `inputs`, or the message of what it threw.

    `parameters`: the tensors of layers under "case/variant/name"; `config`: what they read.
    """
    arrays = {f"{run}/{i}": a for run, args in inputs.items() for i, a in enumerate(args)}
    metadata = {run: str(len(args)) for run, args in inputs.items()}
    metadata["config"] = json.dumps(config or {})
    files = [str(program.parent / name) for name in ("inputs.safetensors", "outputs.safetensors")]
    mx.save_safetensors(files[0], {**arrays, **(parameters or {}), "-": mx.array(0)}, metadata)
    subprocess.run([program, "-", *files], check=True)
    outputs: Any
    outputs, errors = mx.load(files[1], return_metadata=True)
    results: dict[str, Any] = {run: errors[run] for run in inputs if run in errors}
    for run in inputs:
        count = sum(key.rpartition("/")[0] == run for key in outputs)
        results.setdefault(run, [outputs[f"{run}/{i}"] for i in range(count)])
    return results


def load(program: Path, files: list[Path]) -> list[str]:
    """What the program says about each file of weights; nothing where all is well."""
    done = subprocess.run([program, *files], check=True, capture_output=True, text=True)
    return done.stdout.split("\n")[:-1]
