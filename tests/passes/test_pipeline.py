"""The pass manager: order, levels, stops, dumps, failures, and time that grows with the graph."""

import pytest
from pass_tools import calls_made, graph_of, text_of

from mlx_transpile.passes import pipeline
from mlx_transpile.passes.pipeline import Pass, PassError, list_passes, run

TEXT = """
def forward(x: f32[B, 4]):
    a: f32[B, 4] = add(x, 0)
    b: f32[B, 4] = exp(a)
    c: f32[B, 4] = exp(a)
    y: f32[B, 4] = multiply(b, c)
    return y
"""


def test_names_are_distinct_and_documented():
    names = [p.name for p in list_passes()]
    assert len(set(names)) == len(names)
    assert all(p.doc for p in list_passes())
    assert [p.name for p in list_passes(0)] == ["dce", "match_masks", "find_modules"]


def test_runs_report_what_changed():
    runs = run(graph_of(TEXT))
    changed = {r.pass_.name: r.nodes for r in runs if r.changed}
    assert changed == {"cleanup": 3, "cse": 2}
    assert [r.pass_.name for r in runs] == [p.name for p in list_passes(1)]
    assert all(r.ms >= 0 for r in runs)


def test_level_0_changes_nothing_that_is_used():
    graph = graph_of(TEXT)
    before = text_of(graph)
    run(graph, 0)
    assert text_of(graph) == before


def test_stop_and_disable():
    assert [r.pass_.name for r in run(graph_of(TEXT), stop_after="cleanup")][-1] == "cleanup"
    graph = graph_of(TEXT)
    run(graph, disable=["cse", "final_cleanup"])
    assert text_of(graph).count("exp(") == 2


def test_dumps_of_passes_that_changed_something():
    seen = []
    run(
        graph_of(TEXT),
        dump=lambda number, pass_, text: seen.append((number, pass_.name, "add(" in text)),
    )
    assert [name for _, name, _ in seen] == ["cleanup", "cse"]
    assert not any(added for *_, added in seen)


def test_print_after_dumps_one_pass():
    seen = []
    run(
        graph_of(TEXT),
        print_after="dce",
        dump=lambda number, pass_, text: seen.append((number, pass_.name)),
    )
    assert seen == [(1, "dce")]


def test_unknown_pass():
    with pytest.raises(ValueError, match="no pass is called fuse_all; there are dce, "):
        run(graph_of(TEXT), disable=["fuse_all"])


def test_failure_names_the_pass_and_keeps_the_graph(monkeypatch):
    def spoil(graph):
        graph.nodes.pop(0)
        return True

    monkeypatch.setattr(pipeline, "PASSES", [Pass("spoil", spoil, 0, "breaks the graph")])
    with pytest.raises(PassError, match="the pass spoil failed: VerifyError") as error:
        run(graph_of(TEXT))
    assert "a: f32[B, 4] = add(x, 0)" in error.value.ir_before


BLOCK = """
    with module("layers.{i}", "Block"):
        with module("layers.{i}.norm", "Norm"):
            s{i}: f32[B, L, 32] = power(h{i}, 2)
            m{i}: f32[B, L, 1] = mean(s{i}, axes=(2,), keepdims=True)
            e{i}: f32[B, L, 1] = add(m{i}, 1e-06)
            r{i}: f32[B, L, 1] = rsqrt(e{i})
            n{i}: f32[B, L, 32] = multiply(h{i}, r{i})
            w{i}: f32[B, L, 32] = multiply(n{i}, param("layers.{i}.norm.weight", f32[32]))
        q{i}: f32[B, L, 4, 8] = reshape(w{i}, shape=(B, L, 4, 8))
        t{i}: f32[B, 4, L, 8] = transpose(q{i}, axes=(0, 2, 1, 3))
        c{i}: f32[B, 4, L, 8] = multiply(t{i}, cos)
        k{i}: f32[B, 4, 8, L] = transpose(c{i}, axes=(0, 1, 3, 2))
        p{i}: f32[B, 4, L, L] = matmul(c{i}, k{i})
        z{i}: f32[B, 4, L, L] = multiply(p{i}, 0.5)
        x{i}: f32[B, 4, L, L] = softmax(z{i}, axis=3)
        o{i}: f32[B, 4, L, 8] = matmul(x{i}, t{i})
        u{i}: f32[B, L, 4, 8] = transpose(o{i}, axes=(0, 2, 1, 3))
        v{i}: f32[B, L, 32] = reshape(u{i}, shape=(B, L, 32))
        y{i}: f32[B, 32, L] = transpose(v{i}, axes=(0, 2, 1))
        g{i}: f32[B, 32, L] = relu(y{i})
        f{i}: f32[B, L, 32] = transpose(g{i}, axes=(0, 2, 1))
        h{j}: f32[B, L, 32] = add(h{i}, f{i})"""


def layers(count: int) -> str:
    body = "".join(BLOCK.format(i=i, j=i + 1) for i in range(count))
    return f"def forward(h0: f32[B, L, 32], cos: f32[1, 1, L, 8]):{body}\n    return h{count}"


def test_layers_stay_alike():
    graph = graph_of(layers(3))
    run(graph, verify_each=True)
    ops = {}
    for node in graph.nodes:
        ops.setdefault(node.scope.path.replace(".norm", ""), []).append(node.op)
    bodies = list(ops.values())
    assert bodies[0] == bodies[1] == bodies[2]
    assert bodies[0].count("attention") == 1 and bodies[0].count("transpose") == 2


def test_work_grows_with_the_graph():
    def work(count):
        graph = graph_of(layers(count))
        return calls_made(lambda: run(graph))

    first, second, last = work(2), work(8), work(32)
    assert (last - first) / (second - first) < 5.5  # 5 is linear
