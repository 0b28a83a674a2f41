"""One model, many threads: every result is that of a single thread, and memory stays flat.

The program itself compares each output, bit for bit, with that of its first call, which it makes
before there are other threads. benchmarks/cpp_threads.py does this at length and with sanitizers.
"""

import re

import numpy as np
import pytest

from mlx_transpile.cpp_build import run_program

THREADS, WARM, ROUNDS = 4, 5, 20
SIZES = [(1, 1), (2, 7), (1, 33), (4, 16), (3, 5)]


def test_threads_share_a_model(program):
    llama = program("llama")
    random = np.random.default_rng(0)
    requests = [{"input_ids": random.integers(0, 64, size)} for size in SIZES]
    several, measured = run_program(
        llama.path,
        llama.weights,
        requests,
        repeat=ROUNDS,
        threads=THREADS,
        warmup=WARM,
        timeout=120,
    )
    assert measured["calls"] == len(SIZES) * ROUNDS * THREADS == 400
    assert measured["peak_megabytes"] < measured["warm_megabytes"] * 1.1 + 4

    # Another process, one request at a time, as a check of the program's own comparison.
    for request, found in zip(requests, several):
        (alone,), _ = run_program(llama.path, llama.weights, [request], timeout=60)
        assert alone["output"].tobytes() == found["output"].tobytes()


# ---- what makes that safe

LOCKS = r"\b(mutex|lock_guard|unique_lock|shared_lock|scoped_lock|call_once|condition_variable|semaphore|latch|barrier)\b"
MUTABLE = r"\b(mutable|thread_local|const_cast)\b|\bstatic (?!constexpr|const |Model load|ModelArgs read)[^()]*[=;{]"


def test_no_lock_and_no_hidden_state_in_what_a_call_runs(root):
    """Layers, helpers and the model's skeleton: neither locks nor state that a call could change."""
    for path in [
        *(root / "runtime" / "cpp").rglob("*.h"),
        *(root / "templates" / "cpp").glob("model*"),
    ]:
        for line in path.read_text().splitlines():
            code = line.partition("//")[0]
            assert not re.search(LOCKS, code), f"{path.name}: {line}"
            if "std::atomic<bool> used" in code:  # set while a model is constructed, and only then
                continue
            assert not re.search(MUTABLE, code), f"{path.name}: {line}"


@pytest.mark.parametrize("name", ["llama", "resnet"])
def test_calls_are_const(program, name):
    """The compiler then holds every member that is no pointer to being unchanged by a call."""
    header = (program(name).folder / "cpp" / "model.h").read_text()
    calls = re.findall(r"operator\(\)\([^;]*\)([^;]*);", header)
    assert calls and all(after.strip() == "const" for after in calls)
    assert not re.search(MUTABLE, header)
    assert "*" not in re.sub(r"//.*|/\*.*?\*/", "", header), "a pointer would escape const"
