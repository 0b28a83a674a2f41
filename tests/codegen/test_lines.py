"""Every line of a forward method knows the source lines and the passes that it came through."""

import ast
import re
from pathlib import Path

import pytest
from captures import capture

from mlx_transpile.codegen import emit
from mlx_transpile.codegen.cpp import emit_cpp
from mlx_transpile.passes import pipeline
from models import llama

LAYERS = (2, 6)


@pytest.fixture(scope="module", params=LAYERS)
def emitted(request, tmp_path_factory):
    case = llama.llama_decoder(request.param)
    captured = capture(case.module, tmp_path_factory.mktemp("model"), *case.inputs)
    pipeline.run(captured.program)
    return captured.program.forward, emit(captured.program, "Llama")


def methods_of(emitted):
    return {m.method: m for m in emitted.lines["model.py"]}


def line_of(emitted, code: str):
    """The entry of the first statement that holds the code."""
    number = next(i for i, line in enumerate(emitted.source.splitlines(), 1) if code in line)
    return next(
        line
        for m in emitted.lines["model.py"]
        for line in m.lines
        if line.first <= number <= line.last
    )


def test_every_statement_of_a_forward_method_is_in_the_map(emitted):
    source = emitted[1].source
    found = methods_of(emitted[1])
    for cls in ast.parse(source).body:
        for method in cls.body if isinstance(cls, ast.ClassDef) else ():
            if getattr(method, "name", "") != "__call__":
                continue
            mapped = {n for line in found[f"{cls.name}.__call__"].lines
                      for n in range(line.first, line.last + 1)}  # fmt: skip
            written = {n for s in method.body for n in range(s.lineno, s.end_lineno + 1)}
            assert mapped == written
            assert all(line.source for line in found[f"{cls.name}.__call__"].lines)


def test_attention_names_its_pass_and_the_line_of_the_source(emitted):
    line = line_of(emitted[1], "mx.fast.scaled_dot_product_attention(")
    assert "raise_attention" in line.passes and "attention" in line.rules
    written = Path(llama.__file__).read_text().splitlines()
    lines = [written[int(at.split(":")[1]) - 1] for at in line.source if at.startswith("llama.py:")]
    for part in (
        "torch.matmul(query, key",
        "attn_weights + mask",
        "torch.matmul(attn_weights, value",
    ):
        assert any(part in code for code in lines), (part, lines)
    assert any("positions[None, :] <= positions[:, None]" in code for code in lines), "the mask"


def test_a_layer_is_mapped_where_it_is_made(emitted):
    line = line_of(emitted[1], "self.input_layernorm = nn.RMSNorm(")
    assert line.passes[-1] == "raise_rms_norm" and "rms_norm_weight" in line.rules
    assert len([at for at in line.source if at.startswith("llama.py:")]) == 3  # of LlamaRMSNorm


def test_a_loop_stands_for_all_layers(emitted):
    head = line_of(emitted[1], "for layer in self.layers:")
    assert head.calls == ("LlamaDecoderLayer",)
    inside = [line for name, m in methods_of(emitted[1]).items() for line in m.lines
              if name in ("LlamaAttention.__call__", "LlamaMLP.__call__", "LlamaDecoderLayer.__call__")]  # fmt: skip
    assert set(head.source) == {at for line in inside for at in line.source}
    assert methods_of(emitted[1])["LlamaAttention.__call__"].modules == (
        "model.layers.*.self_attn",
    )


def test_cpp_lines(emitted):
    graph, python = emitted
    made = emit_cpp(graph, python.recovered, "Llama")
    text = made.files["model.cpp"].splitlines()
    (line,) = [
        line
        for m in made.lines
        for line in m.lines
        if "scaled_dot_product_attention" in " ".join(text[line.first - 1 : line.last])
    ]
    assert line.source == line_of(python, "mx.fast.scaled_dot_product_attention(").source
    for method in made.lines:
        for line in method.lines:
            code = " ".join(text[line.first - 1 : line.last])
            assert re.search(r"[;{]$", code) and line.source, code


def test_the_number_of_layers_does_not_matter(tmp_path):
    found = []
    for layers in LAYERS:
        case = llama.llama_decoder(layers)
        captured = capture(case.module, tmp_path, *case.inputs)
        pipeline.run(captured.program)
        made = emit(captured.program, "Llama")
        found.append((made.source, made.lines))
    assert found[0] == found[1]
