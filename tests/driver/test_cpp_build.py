"""The C++ project around a model: it builds, runs, measures, shares the model and fails in words.

The model is written by hand (cpp_fixture/), the rest is what `--emit cpp` writes.
"""

import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from mlx_transpile.codegen.cpp import nn_header
from mlx_transpile.codegen.template import render
from mlx_transpile.cpp_build import build, find_blas, find_compiler, find_mlx, run_program
from mlx_transpile.emitted_model import EmittedModel
from mlx_transpile.errors import TranspileError

FIXTURE = Path(__file__).parent / "cpp_fixture"
FUSE = np.array(10**9, np.int32)

needs_compiler = pytest.mark.skipif(
    find_compiler() is None or find_mlx() is None,
    reason="needs a C++ compiler and the headers of the mlx package",
)
needs_cmake = pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")


# ---- the project


def write_project(folder, namespace="tiny"):
    """The fixture's model with the files that surround every emitted one."""
    folder.mkdir(parents=True)
    for name in ("CMakeLists.txt", "main.cpp", "README.md"):
        (folder / name).write_text(
            render(f"{name}.j2", folder="cpp", namespace=namespace, draws=False)
        )
    for name in ("model.h", "model.cpp"):
        text = (FIXTURE / name).read_text()
        (folder / name).write_text(text.replace("tiny", namespace))
    (folder / "nn.h").write_text(nn_header(namespace, ["Weights", "check_names"]))
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("cpp") / "tiny")


@pytest.fixture(scope="module")
def built(project):
    return build(project, build_type="Debug")


@pytest.fixture(scope="module")
def program(built):
    return built.program


@pytest.fixture(scope="module")
def weight():
    return np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def weights(weight, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_file({"linear.weight": weight}, path)
    return path


def request_of(rows, fuse=FUSE):
    return {"x": np.random.default_rng(rows).normal(size=(rows, 4)), "fuse": fuse}


# ---- building


@needs_compiler
def test_it_builds_without_warnings(built):
    assert built.program.is_file()
    assert (built.warnings, built.missing) == ("", "")
    assert built.seconds > 0


@needs_compiler
def test_a_second_build_has_nothing_to_do(project, built):
    if not shutil.which("cmake"):
        pytest.skip("needs cmake")
    assert build(project, build_type="Debug").seconds < built.seconds / 2


def hide_cmake(monkeypatch):
    find = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "cmake" else find(name))


@needs_compiler
def test_a_compiler_alone_is_enough(tmp_path, monkeypatch):
    hide_cmake(monkeypatch)
    (tmp_path / "model.cpp").write_text(
        '#include "mlx/version.h"\nconst char* used() { return mlx::core::version(); }\n'
    )
    (tmp_path / "main.cpp").write_text(
        "#include <cstdio>\nconst char* used();\nint main() { std::puts(used()); }\n"
    )
    built = build(tmp_path, tmp_path / "elsewhere", "Debug")
    assert built.program == tmp_path / "elsewhere" / "run"
    printed = subprocess.run([built.program], capture_output=True, text=True).stdout
    assert printed.strip() == importlib.metadata.version("mlx")


def test_without_a_compiler_the_result_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    found = build(tmp_path)
    assert found.program is None
    assert "no C++ compiler" in found.missing


@needs_compiler
@pytest.mark.parametrize("cmake", [pytest.param(True, marks=needs_cmake), False])
def test_code_that_does_not_compile_is_an_error_with_the_compilers_words(
    cmake, tmp_path, monkeypatch
):
    (tmp_path / "model.cpp").write_text("int answer() { return unheard_of; }\n")
    (tmp_path / "main.cpp").write_text("int main() {}\n")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.21)\nproject(t LANGUAGES CXX)\n"
        "add_executable(run main.cpp model.cpp)\n"
    )
    if not cmake:
        hide_cmake(monkeypatch)
    with pytest.raises(TranspileError, match="does not build") as caught:
        build(tmp_path)
    assert "unheard_of" in caught.value.what
    assert caught.value.where == str(tmp_path)


def test_the_blas_library_can_be_named_or_refused(monkeypatch):
    monkeypatch.setenv("BLAS_LIBRARY", "/opt/libblas.so")
    assert find_blas() == "/opt/libblas.so"
    monkeypatch.setenv("BLAS_LIBRARY", "")
    assert find_blas() is None


# ---- the CMake file in other surroundings


def configure(source, target, *arguments):
    return subprocess.run(
        ["cmake", "-S", source, "-B", target, *arguments], capture_output=True, text=True
    )


@needs_compiler
@needs_cmake
def test_two_models_stand_side_by_side_in_one_application(tmp_path):
    for name in ("tiny", "other"):
        write_project(tmp_path / name, name)
    (tmp_path / "app.cpp").write_text("int main() {}\n")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.21)\nproject(app LANGUAGES CXX)\n"
        "add_subdirectory(tiny)\nadd_subdirectory(other)\nadd_executable(app app.cpp)\n"
        "target_link_libraries(app PRIVATE tiny::model other::model)\n"
        "if(NOT TARGET model OR TARGET run)\nmessage(FATAL_ERROR targets)\nendif()\n"
    )
    done = configure(tmp_path, tmp_path / "build", f"-DPython_EXECUTABLE={sys.executable}")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@needs_compiler
@needs_cmake
@pytest.mark.parametrize("how", ["CMAKE_PREFIX_PATH", "MLX_DIR", "MLX_PYTHON_PACKAGE"])
def test_mlx_may_be_named(how, project, tmp_path):
    folder = find_mlx() / ("share/cmake/MLX" if how == "MLX_DIR" else "")
    done = configure(project, tmp_path, f"-D{how}={folder}")
    assert done.returncode == 0, done.stderr


def fake_python(tmp_path, mlx):
    """A Python whose mlx package lies in that folder."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\necho {mlx}\n")
    path.chmod(0o755)
    return path


@needs_compiler
@needs_cmake
def test_an_mlx_for_cuda_is_used_without_the_cuda_toolkit(project, tmp_path):
    mlx = tmp_path / "mlx"
    config = mlx / "share" / "cmake" / "MLX" / "MLXConfig.cmake"
    for path in (config, mlx / "include" / "mlx" / "mlx.h", mlx / "lib" / "libmlx.so"):
        path.parent.mkdir(parents=True)
        path.touch()
    config.write_text("if(ON)\n    find_dependency(CUDAToolkit REQUIRED)\nendif()\n")
    python = fake_python(tmp_path, mlx)
    done = configure(project, tmp_path / "build", f"-DPython_EXECUTABLE={python}")
    assert done.returncode == 0, done.stderr


@needs_compiler
@needs_cmake
def test_where_mlx_is_missing_cmake_says_what_would_work(project, tmp_path):
    python = fake_python(tmp_path, "")
    done = configure(project, tmp_path / "build", f"-DPython_EXECUTABLE={python}")
    assert done.returncode != 0
    assert "MLX was not found" in done.stderr
    assert "-DPython_EXECUTABLE" in done.stderr


# ---- running


@needs_compiler
def test_requests_of_several_sizes_run_in_one_process(program, weights, weight):
    requests = [request_of(rows) for rows in (1, 300, 7, 0)]
    outputs, timing = run_program(program, weights, requests)
    assert timing == {}
    for request, found in zip(requests, outputs):
        expected = request["x"].astype(np.float32) @ weight.T
        np.testing.assert_allclose(found["y"], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(found["turned"], found["y"].T)
        assert found["half"].dtype == ml_dtypes.bfloat16
        np.testing.assert_array_equal(found["half"], found["y"].astype(ml_dtypes.bfloat16))


@needs_compiler
def test_threads_share_the_model_and_are_timed(program, weights):
    requests = [request_of(rows) for rows in (1, 50, 7)]
    outputs, timing = run_program(program, weights, requests, repeat=40, threads=8, warmup=2)
    assert [o["y"].shape for o in outputs] == [(1, 3), (50, 3), (7, 3)]
    assert (timing["calls"], timing["threads"]) == (3 * 40 * 8, 8)
    assert [r["calls"] for r in timing["requests"]] == [40 * 8] * 3
    for measured in (timing, *timing["requests"]):
        assert 0 < measured["median_ms"] <= measured["p90_ms"]
    assert timing["calls_per_second"] > 0
    assert timing["peak_megabytes"] >= timing["warm_megabytes"] > 0


@needs_compiler
def test_an_exception_in_a_thread_ends_the_program_in_words(program, weights):
    requests = [request_of(5, np.array(30, np.int32))]
    with pytest.raises(TranspileError, match="the fuse has blown"):
        run_program(program, weights, requests, repeat=100, threads=4, timeout=60)


@needs_compiler
def test_the_model_s_own_message_becomes_one_line(program, weights):
    with pytest.raises(TranspileError, match="failed: request 0: input 'x':  it must be float32"):
        run_program(program, weights, [{"x": np.zeros((2, 5)), "fuse": FUSE}])


@needs_compiler
@pytest.mark.parametrize("name", ["0.x", "y", "x."])
def test_unknown_inputs_are_refused(name, program, weights):
    with pytest.raises(TranspileError, match=f"the model has no input '{name}'"):
        run_program(program, weights, [{**request_of(1), name: FUSE}])


@needs_compiler
def test_index_checks_are_the_models_and_can_be_turned_off(program, weights):
    requests = [request_of(1000)]
    with pytest.raises(TranspileError, match="there are too many rows"):
        run_program(program, weights, requests)
    (outputs,), _ = run_program(program, weights, requests, unchecked=True)
    assert outputs["y"].shape == (1000, 3)


@pytest.fixture
def inputs(tmp_path):
    path = tmp_path / "in.safetensors"
    save_file({"x": np.zeros((2, 4), np.float32), "fuse": FUSE}, path)
    return path


def run_line(program, **flags):
    """Status, standard output and error of one start; a flag of None is left out."""
    line = [part for k, v in flags.items() if v is not None for part in (f"--{k}", str(v))]
    done = subprocess.run([program, *line], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@needs_compiler
def test_times_are_printed_for_people(program, weights, inputs, tmp_path):
    line = {"weights": weights.parent, "input": inputs, "output": tmp_path / "o.safetensors"}
    status, out, err = run_line(program, **line, repeat=3, threads=2)
    assert (status, err) == (0, "")
    assert re.fullmatch(
        r"6 calls of 1 requests in 2 threads\n"
        r"median [\d.]+ ms, p90 [\d.]+ ms, [\d.]+ calls/s\n",
        out,
    )


BROKEN = [
    ({"weights": "nowhere"}, 1, "nowhere"),
    ({"input": "nowhere.safetensors"}, 1, "nowhere.safetensors"),
    ({"input": "cut.safetensors"}, 1, "cut.safetensors"),
    ({"input": "partly.safetensors"}, 1, "request 2: the input 'fuse' is missing"),
    ({"input": "mixed.safetensors"}, 1, "some inputs have the number of a request"),
    ({"output": "nowhere/o.safetensors"}, 1, "nowhere/o.safetensors"),
    ({"output": "o.npz"}, 2, "--output must end with .safetensors"),
    ({"weights": None}, 2, "--weights is missing"),
    ({"repeat": "-1"}, 2, "--repeat takes a number from 0 to"),
    ({"threads": "0"}, 2, "--threads takes a number from 1 to"),
    ({"threads": "two"}, 2, "not 'two'"),
    ({"warmup": "1.5"}, 2, "not '1.5'"),
    ({"speed": "3"}, 2, "unknown argument '--speed'"),
]


@needs_compiler
@pytest.mark.parametrize("flags, status, message", BROKEN, ids=[str(b[0]) for b in BROKEN])
def test_broken_requests_give_one_line_and_a_status(
    flags, status, message, program, weights, inputs, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("cut.safetensors").write_bytes(inputs.read_bytes()[:-8])
    save_file({"2.x": np.zeros((2, 4), np.float32)}, "partly.safetensors")
    save_file({"2.x": np.zeros((2, 4), np.float32), "fuse": FUSE}, "mixed.safetensors")
    line = {"weights": weights, "input": inputs, "output": "o.safetensors", **flags}
    found, out, err = run_line(program, **line)
    assert (found, out) == (status, "")
    assert err.startswith("run: ") and err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize(
    "line, message",
    [
        ("kill -SEGV $$", "ended by SIGSEGV"),
        ("sleep 60", "did not end within"),
        ("exit 3", "failed"),
    ],
)
def test_a_program_that_ends_badly_is_an_error(line, message, tmp_path):
    program = tmp_path / "run"
    program.write_text(f"#!/bin/sh\n{line.replace('sleep', 'exec sleep')}\n")
    program.chmod(0o755)
    with pytest.raises(TranspileError, match=message):
        run_program(program, tmp_path, [], timeout=1)


# ---- the example application


@needs_compiler
@needs_cmake
def test_the_example_server_answers_as_the_python_model_does(root, tmp_path):
    """Lines in, answers out in the same order; a bad request spoils no other."""
    model = root / "generated" / "llama"
    if not (model / "cpp" / "CMakeLists.txt").exists():
        pytest.skip("generated/llama has no C++")
    server = build_example(root / "examples" / "cpp_server", tmp_path)
    prompts = [[1, 5, 7], [3], list(range(20)), [9, 9]] * 10
    lines = [" ".join(map(str, ids)) for ids in prompts]
    lines[1:1] = ["some words", "100000"]
    done = subprocess.run(
        [server, model, "4"], input="\n".join(lines), capture_output=True, text=True, timeout=60
    )
    answers = done.stdout.splitlines()
    errors = [answers.pop(1), answers.pop(1)]
    assert errors[0] == "error: a line must hold token ids"
    assert errors[1].startswith("error: input_ids holds 100000")
    python = EmittedModel(model)
    logits = [python.run([np.array([ids])])[0, -1] for ids in prompts[:4]] * 10
    python.close()
    assert answers == [str(row.argmax()) for row in logits]


def build_example(source, target):
    done = configure(
        source, target, f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Debug"
    )
    assert done.returncode == 0, done.stderr
    made = subprocess.run(
        ["cmake", "--build", target, "--parallel", "2"], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert "warning" not in made.stdout + made.stderr
    return target / "server"
