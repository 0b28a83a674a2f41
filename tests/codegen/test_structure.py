"""Structure recovery: which module calls become one class, and what the classes look like."""

import re

import mlx.core as mx
import pytest
from graphs import block, emitted, graph_of, indent, linear, stack

from mlx_transpile.codegen import emit
from mlx_transpile.codegen.cpp import emit_cpp
from mlx_transpile.ir import Program
from mlx_transpile.ir.recipe import Read
from mlx_transpile.ir.text import parse_graph


def test_like_blocks_are_one_class_in_a_loop():
    out = emitted(stack(3))
    assert out.classes == ["Block", "Model"]
    assert "self.layers = [Block(args) for _ in range(args.num_hidden_layers)]" in out.source
    assert "for layer in self.layers:" in out.source
    assert out.config["num_hidden_layers"] == 3


def test_names_in_the_source_do_not_keep_layers_apart():
    text = block("layers.0", "x", "h0") + block("layers.1", "h0", "h1").replace("h1_a", "act")
    out = emitted(text + block("layers.2", "h1", "h2") + "return h2")
    assert out.classes == ["Block", "Model"]


def test_the_number_of_layers_is_only_in_the_config():
    two, six = emitted(stack(2)), emitted(stack(6))
    assert two.source == six.source
    assert (two.config["num_hidden_layers"], six.config["num_hidden_layers"]) == (2, 6)


def test_stages_of_different_depth_are_one_class():
    text, last = "", "x"
    for name, depth in (("first", 2), ("second", 3)):
        inside = ""
        for i in range(depth):
            inside += block(f"{name}.layers.{i}", last, f"{name}{i}")
            last = f"{name}{i}"
        text += f"with module('{name}', 'Stage'):\n" + indent(inside)
    out = emitted(text + f"return {last}")
    assert out.classes == ["Block", "Stage", "Model"]


def test_another_op_makes_another_class():
    text = block("layers.0", "x", "h0") + block("layers.1", "h0", "h1", op="relu") + "return h1"
    out = emitted(text)
    assert len(out.classes) == 3
    assert "for layer in self.layers:" in out.source  # they are called alike
    assert any("different classes" in line and "silu" in line for line in out.log)


def test_inputs_of_another_rank_make_another_class():
    """The sizes stand at other axes: `B, L, _ = x.shape` is no line for four axes."""
    body = (
        "with module('a.{0}', 'Flat'):\n"
        "    f{0}: f32[B*L, 64] = reshape({1}, shape=(B*L, 64))\n"
        "    g{0}: f32[B*L, 64] = exp(f{0})\n"
        "    y{0}: f32[B, L, 64] = reshape(g{0}, shape=(B, L, 64))\n"
    )
    split = "s: f32[B, L, 8, 8] = reshape(y0, shape=(B, L, 8, 8))\n"
    out = emitted(body.format(0, "x") + split + body.format(1, "s") + "return y1")
    assert len(out.classes) == 3
    assert "B, L, _ = " in out.source and "B, L, _, _ = " in out.source


def test_another_scalar_makes_a_constructor_argument():
    body = "with module('a.{0}', 'Scale'):\n    y{0}: f32[B, L, 64] = multiply({1}, {2})\n    z{0}: f32[B, L, 64] = add(y{0}, 1.0)\n    w{0}: f32[B, L, 64] = exp(z{0})\n"
    out = emitted(body.format(0, "x", 0.3) + body.format(1, "w0", 0.7) + "return w1")
    assert out.classes == ["Scale", "Model"]
    assert "0.3" not in out.source.split("class Model")[0]


def test_widths_that_differ_are_constructor_arguments():
    out = emitted(block("a", "x", "h0", rows=96) + block("b", "h0", "h1", rows=32) + "return h1")
    assert out.classes == ["Block", "Model"]
    assert sorted(v for v in out.config.values()) == [32, 64, 96]


def test_widths_equal_by_chance_stay_apart():
    text = linear("a", "x", "y", 64, 64) + linear("b", "y", "z", 64, 64) + "return z"
    assert len(emitted(text).config) == 3


def test_a_shared_module_called_twice_is_one_attribute():
    text = (
        block("shared", "x", "h0")
        + block("shared", "h0", "h1").replace("'Block')", "'Block', call=1)")
        + "return h1"
    )
    out = emitted(text)
    assert out.source.count("self.shared = Block(args)") == 1
    assert out.source.count("self.shared(") == 2


def test_a_shared_module_with_two_bodies_is_written_in_place_the_second_time():
    again = block("shared", "h0", "h1", op="relu").replace("'Block')", "'Block', call=1)")
    out = emitted(block("shared", "x", "h0") + again + "return h1")
    assert "self.shared.up(" in out.source.split("class Model")[2]
    assert any("called again with another body" in line for line in out.log)


def test_a_class_that_is_called_as_a_layer_too_stays_a_class():
    weight = "param('table.weight', f32[9, 64])"
    ids = "ids: i64[B, L]"
    text = (
        "with module('table', 'Positions'):\n"
        "    p: i64[B, L] = clip(ids, 0, 8)\n"
        f"    h0: f32[B, L, 64] = embedding({weight}, p)\n"
        "with module('table', 'Positions', call=1):\n"
        f"    h1: f32[B, L, 64] = embedding({weight}, p)\n"
        "h: f32[B, L, 64] = add(h0, h1)\n"
        "return h"
    )
    out = emitted(text, ids)
    assert out.classes == ["Positions", "Model"] and "self.table = Positions(args)" in out.source
    assert "mx.take(self.table.weight, p, axis=0)" in out.source


def test_a_module_whose_values_leave_and_come_back_is_written_in_place():
    text = (
        "with module('m', 'Odd'):\n" + indent(linear("m.a", "x", "h0"))
        + "r: f32[B, L, 64] = exp(h0)\n"
        + "with module('m', 'Odd'):\n" + indent(linear("m.b", "r", "h1")) + "return h1"
    )  # fmt: skip
    out = emitted(text)
    assert out.classes == ["Model"]
    assert "self.m" in out.source
    assert any("values leave it and come back" in line for line in out.log)


def test_a_tied_head_reads_the_embedding():
    text = (
        "with module('embed', 'Embedding'):\n"
        "    h: f32[B, L, 64] = embedding(param('embed.weight', f32[128, 64]), ids)\n"
        "with module('head', 'Linear'):\n"
        "    y: f32[B, L, 128] = linear(h, param('embed.weight', f32[128, 64]), None)\n"
        "return {'logits': y}"
    )
    out = emitted(text, "ids: i64[B, L]")
    assert "self.embed.as_linear(" in out.source
    assert list(out.parameters) == ["embed.weight"]
    biased = text.replace("None)", "param('head.bias', f32[128]))")
    out = emitted(biased, "ids: i64[B, L]")
    assert "self.embed.as_linear(" in out.source and "self.embed.weight" not in out.source
    assert list(out.parameters) == ["embed.weight", "head.bias"]


def test_a_bias_that_comes_later_is_a_member_of_the_class():
    text = (
        linear("dense", "x", "h0")
        + "s: f32[B, L, 64] = multiply(h0, 0.5)\n"
        + "y: f32[B, L, 64] = add(s, param('dense.bias', f32[64]))\n"
        + "return y"
    )
    out = emitted(text)
    assert list(out.parameters) == ["dense.weight", "dense_bias"]
    assert out.parameters["dense_bias"].recipe == Read("dense.bias")
    assert "self.dense_bias = mx.zeros(" in out.source
    assert "= self.dense(x) * 0.5" in out.source and "+ self.dense_bias" in out.source


def test_a_sequential_model_is_a_list():
    out = emitted(
        linear("0", "x", "h0")
        + "a: f32[B, L, 64] = relu(h0)\n"
        + linear("2", "a", "y")
        + "return y"
    )
    assert list(out.parameters) == ["layers.0.weight", "layers.2.weight"]
    assert "nn.Identity()" in out.source


def test_names_that_python_or_mlx_forbid_get_others():
    out = emitted(
        linear("keys", "x", "h0")
        + linear("class", "h0", "h1")
        + linear("_x", "h1", "h2")
        + "return h2"
    )
    assert list(out.parameters) == ["keys_.weight", "class_.weight", "x.weight"]


def test_a_norm_over_an_axis_that_is_free_is_no_layer():
    """A constructor cannot know the size: `nn.InstanceNorm1d` without weights."""
    out = emitted(
        "with module('norm', 'InstanceNorm1d'):\n"
        "    y: f32[B, 64, L] = layer_norm(x, None, None)\nreturn y",
        "x: f32[B, 64, L]",
    )
    assert "mx.fast.layer_norm(x, None, None, " in out.source
    assert "nn.LayerNorm" not in out.source


def test_a_numbered_attribute_of_a_class_names_it_once():
    text = block("conv1", "x", "h") + block("conv2", "h", "y", op="relu") + "return y"
    assert emitted(text.replace("'Block'", "'Conv'")).classes == ["Conv1", "Conv2", "Model"]


def test_parts_called_model_are_not_the_model():
    one = block("model", "x", "h").replace("'Block'", "'Model'")
    assert emitted(one + "return h").classes == ["InnerModel", "Model"]
    two = block("model.1", "h", "y", op="relu").replace("'Block'", "'Model'")
    out = emitted(one.replace("'model", "'model.0") + two + "return y")
    assert len(set(out.classes)) == 3 and out.classes[-1] == "Model"
    assert "fields(ModelArgs)" in out.source.rpartition("class Model(")[2]  # load() builds it


def test_values_cross_scopes_as_arguments():
    inner = "s: f32[B, L, 64] = add(h0, x)\nt: f32[B, L, 64] = exp(s)\nu: f32[B, L, 64] = sin(t)\n"
    out = emitted(
        linear("a", "x", "h0") + "with module('p', 'Part'):\n" + indent(inner) + "return u"
    )
    assert "self.p(h0, x)" in out.source or "self.p(self.a(x), x)" in out.source


def test_sizes_are_read_from_the_arguments():
    body = "with module('p', 'Part'):\n" + indent(
        linear("p.q", "x", "h0")
        + "s: f32[B, L, 4, 16] = reshape(h0, shape=(B, L, 4, 16), free=3)\n"
    )
    out = emitted(body + "return s")
    assert "B, L, _ = x.shape" in out.source


def test_ties_and_bounds_are_checked_at_the_border():
    out = emitted("z: f32[B, L, 64] = add(x, y)\nreturn z", "x: f32[B, L, 64], y: f32[B, L, 64]")
    assert "check_shape('y', y, (B, L, 64))" in out.source.replace('"', "'")


def test_containers_that_are_never_called_are_dicts_and_lists():
    text = linear("parts.first-one.a", "x", "h0") + linear("parts.first_one.0", "h0", "h1")
    out = emitted(text + linear("parts.first_one.b", "h1", "y") + "return y")
    assert list(out.parameters) == [
        "parts.first_one.a.weight",
        "parts.first_one_.unnamed_0.weight",
        "parts.first_one_.b.weight",
    ]
    namespace: dict = {}
    exec(compile(out.source, "model.py", "exec"), namespace)
    model = namespace["Model"](namespace["ModelArgs"](**out.config))
    from mlx.utils import tree_flatten

    assert sorted(k for k, _ in tree_flatten(model.parameters())) == sorted(out.parameters)


def test_nested_arguments_are_taken_apart():
    arguments = ", ".join(f"(s{i} := f32[B, 4])" for i in range(12))
    total = "".join(
        f"t{i}: f32[B, 4] = add({'s0' if i == 1 else f't{i - 1}'}, s{i})\n" for i in range(1, 12)
    )
    out = emitted(total + "return t11", f"state: ({arguments})")
    line = next(line for line in out.source.splitlines() if "first_state" in line)
    assert "second_state" in out.source and "state" in line
    namespace: dict = {}
    exec(compile(out.source, "model.py", "exec"), namespace)
    import mlx.core as mx

    model = namespace["Model"](*([namespace["ModelArgs"](**out.config)] if out.config else []))
    assert model(tuple(mx.full((2, 4), i) for i in range(12)))[0, 0].item() == sum(range(12))


def test_a_size_rounded_up_is_passed_as_a_positive_number():
    up = "-4*(((L//8) - (L//4))//4)"
    text = (
        "s: f32[64] = sum(x, axes=(0, 1))\n"
        "with module('m', 'Padded'):\n"
        "    h: f32[64] = linear(s, param('m.weight', f32[64, 64]), None)\n"
        f"    z: f32[{up}, 64] = full(shape=({up}, 64), value=0.0, dtype=f32)\n"
        f"    first: f32[max({up} - 2, 0), 64] = slice(z, axis=0, start=0, stop=-2)\n"
        "    t: f32[64] = sum(first, axes=(0,))\n"
        "    o: f32[64] = add(h, t)\n"
        "    e: f32[64] = exp(o)\n"
        "return e"
    )
    out = emitted(text, "x: f32[B, (L//4) - (L//8), 64], y: f32[L]")
    assert "mx.zeros((4 * L, " in out.source and "z[:-2]" in out.source


MULTIPLE = """
z: f32[4*N, L, 8] = exp(x)
w: f32[N, 8] = exp(y)
s: f32[4*N*L, 8] = reshape(z, shape=(4*N*L, 8))
t: f32[N, 2, 4] = reshape(w, shape=(N, 2, 4))
return s, t
"""
INPUTS = "x: f32[4*N, L, 8], y: f32[N, 8]"


def test_an_input_that_is_a_multiple_is_checked_at_the_border():
    out = emitted(MULTIPLE, INPUTS)
    assert 'check_multiple("x", x, axis=0, factor=4)' in out.source
    assert 'check_shape("x", x, (N, L, 8))' in out.source
    assert 'check_shape("y", y, (N // 4, 8))' in out.source
    space: dict = {"__name__": "model"}
    exec(out.source, space)  # a class made from text
    model = space["Model"](space["ModelArgs"](**out.config))
    flat, other = model(mx.zeros((8, 3, 8)), mx.zeros((2, 8)))
    assert flat.shape == (24, 8) and other.shape == (2, 2, 4)
    with pytest.raises(
        ValueError, match=r"x has shape \(9, 3, 8\): axis 0 must be a multiple of 4"
    ):
        model(mx.zeros((9, 3, 8)), mx.zeros((2, 8)))
    with pytest.raises(ValueError, match="y has shape"):
        model(mx.zeros((8, 3, 8)), mx.zeros((3, 8)))


def test_an_input_that_is_a_multiple_is_checked_in_cpp():
    graph = graph_of(MULTIPLE, INPUTS)
    code = emit_cpp(graph, emit(Program({"forward": graph}), "Net").recovered, "Net")
    checks = re.findall(
        r"nn::(check_(?:input|multiple)\(.*?);", " ".join(code.files["model.cpp"].split())
    )
    assert checks == [
        'check_input("x", x, {-1, -1, 8}, mx::float32)',
        'check_multiple("x", x, 0, 4)',
        'check_input("y", y, {(N / 4), 8}, mx::float32)',
    ]


BOUNDED = """
@graph('Net', L=(2, 9))
def forward(x: f32[2*L - 1, 8]):
    z: f32[2*L - 1, 8] = exp(x)
    s: f32[16*L - 8] = reshape(z, shape=(16*L - 8,))
    return s
"""


def test_bounds_of_a_multiple_are_those_of_the_size():
    graph = parse_graph(BOUNDED)
    out = emit(Program({"forward": graph}), "Net")
    assert 'check_multiple("x", x, axis=0, factor=2, plus=1)' in out.source
    assert 'check_size("L", L, 3, 17)' in out.source
    code = emit_cpp(graph, out.recovered, "Net").files["model.cpp"]
    assert 'nn::check_multiple("x", x, 0, 2, 1);' in code
    assert 'nn::check_size("L", L, 3, 17);' in code


def test_a_size_that_is_a_multiple_is_read_from_the_argument():
    out = emitted(
        "with module('p', 'Part'):\n"
        + indent(
            linear("p.q", "x", "h0")
            + "a: f32[B, 2*L, 64] = tile(h0, repeats=(1, 2, 1))\n"
            + "with module('p.r', 'Twice'):\n"
            + indent(
                linear("p.r.s", "a", "h1").replace("B, L", "B, 2*L")
                + "b: f32[B, 8*L, 64] = tile(h1, repeats=(1, 4, 1))\n"
                + "c: f32[B, 2*L, 4, 64] = reshape(b, shape=(B, 2*L, 4, 64))\n"
            )
        )
        + "return c"
    )
    assert "reshape(B, L, -1, self.s_output_dims)" in out.source


def chunked(path: str, x: str, out: str, width: int) -> str:
    weight = f"param('{path}.up.weight', f32[{2 * width}, 64])"
    return f"with module('{path}', 'Gate'):\n" + indent(
        f"with module('{path}.up', 'Linear'):\n"
        f"    {out}_u: f32[B, L, {2 * width}] = linear({x}, {weight}, None)\n"
        f"{out}_a, {out}_b = split({out}_u, sizes=({width}, {width}), axis=2, "
        f"types=[f32[B, L, {width}], f32[B, L, {width}]])\n"
        f"{out}_g: f32[B, L, {width}] = multiply({out}_a, {out}_b)\n"
        + linear(f"{path}.down", f"{out}_g", out, 64, width)
    )


def test_a_width_that_is_split_is_so_many_times_its_parts():
    out = emitted(chunked("gate", "x", "h", 96) + "return h")
    assert "2 * args." in out.source
    assert sorted(out.config.values()) == [64, 64, 96]


def test_a_multiple_of_an_argument_is_no_argument():
    out = emitted(chunked("a", "x", "h0", 96) + chunked("b", "h0", "h1", 32) + "return h1")
    assert out.classes == ["Gate", "Model"]
    assert "2 * down_input_dims" in out.source
    assert sorted(out.config.values()) == [32, 64, 96]


def test_numbers_that_vary_alike_are_one_argument():
    body = "with module('a.{0}', 'Pad'):\n    y{0}: f32[B, L + {3}, 64] = pad({1}, low=(0, {2}, 0), high=(0, {2}, 0))\n    u{0}: f32[B, L + {3}, 64] = exp(y{0})\n    z{0}: f32[B, L + {3}, 64] = tanh(u{0})\n"
    out = emitted(body.format(0, "x", 2, 4) + body.format(1, "z0", 3, 10) + "return z1")
    assert out.classes == ["Pad", "Model"]
    assert "self.a = [Pad(padding=2), Pad(padding=3)]" in out.source
    assert not out.config


def heads(path: str, x: str, out: str, number: int) -> str:
    split = f"f32[B, L, {number}, {64 // number}]"
    turned = f"f32[B, {number}, L, {64 // number}]"
    bias = f"param('{path}.bias', f32[{number}, 1, 1])"
    return f"with module('{path}', 'Heads'):\n" + indent(
        f"{out}_s: {split} = reshape({x}, shape=(B, L, {number}, {64 // number}))\n"
        f"{out}_t: {turned} = transpose({out}_s, axes=(0, 2, 1, 3))\n"
        f"{out}_b: {turned} = add({out}_t, {bias})\n"
        f"{out}_a: {turned} = attention({out}_b, {out}_t, {out}_t, None, scale=0.5)\n"
        f"{out}_u: f32[B, L, {number}, {64 // number}] = transpose({out}_a, axes=(0, 2, 1, 3))\n"
        f"{out}: f32[B, L, 64] = reshape({out}_u, shape=(B, L, 64))\n"
    )


def test_arguments_of_one_role_that_vary_alike_are_one_and_have_its_name():
    out = emitted(heads("a", "x", "h0", 4) + heads("b", "h0", "h1", 8) + "return h1")
    assert out.classes == ["Heads", "Model"]
    assert "mx.zeros((num_attention_heads, 1, 1))" in out.source
    assert "num_attention_heads=args." in out.source
    assert "bias_size" not in out.source


def test_arguments_that_are_passed_on_keep_their_names():
    def outer(path: str, x: str, out: str, rows: int) -> str:
        inner = block(f"{path}.inner", x, out, rows=rows)
        return f"with module('{path}', 'Outer'):\n" + indent(
            inner + f"{out}e: f32[B, L, 64] = exp({out})\n"
        )

    out = emitted(outer("a", "x", "h0", 96) + outer("b", "h0e", "h1", 32) + "return h1e")
    assert "Block(args, up_output_dims=up_output_dims)" in out.source


def test_sizes_that_a_module_cannot_read_are_passed_as_it_needs_them():
    def half(path: str, x: str, out: str, length: str, to: str) -> str:
        return f"with module('{path}', 'Half'):\n" + indent(
            f"{out}_e: f32[B, {length}, 64] = exp({x})\n"
            f"{out}_s: f32[B, {to}, 64] = slice({out}_e, axis=1, start=0, stop=None, step=2)\n"
            f"{out}_m: f32[64] = mean({out}_s, axes=(0, 1), keepdims=False)\n"
            f"with module('{path}.rows', 'Rows'):\n"
            f"    {out}_n: f32[64] = negative({out}_m)\n"
            f"    {out}_b: f32[{to}, 64] = broadcast_to({out}_n, shape=({to}, 64))\n"
            f"    {out}_r: f32[{to}, 64] = relu({out}_b)\n"
            f"{out}: f32[B, {to}, 64] = add({out}_s, {out}_r)\n"
        )

    out = emitted(
        half("a", "x", "h0", "L", "(L + 1)//2")
        + half("b", "h0", "h1", "(L + 1)//2", "(L + 3)//4")
        + "return h1"
    )
    assert out.classes == ["Rows", "Half", "Model"]
    assert "self.rows(h0_m, (L + 1) // 2)" in out.source
    assert "(L + 3)" not in out.source


def test_a_size_that_cannot_be_solved_is_read_as_it_is():
    out = emitted(
        "with module('p', 'Part'):\n"
        + indent(
            "f: f32[B, H*W, 64] = reshape(x, shape=(B, H*W, 64))\n"
            "with module('p.q', 'Heads'):\n"
            "    e: f32[B, H*W, 64] = exp(f)\n"
            "    s: f32[B, H*W, 4, 16] = reshape(e, shape=(B, H*W, 4, 16), free=3)\n"
            "    t: f32[B, 4, H*W, 16] = transpose(s, axes=(0, 2, 1, 3))\n"
        )
        + "return t",
        "x: f32[B, H, W, 64]",
    )
    assert "e.reshape(B, L, self.q_size, -1)" in out.source


TABLE = "param('shared.weight', f32[50, 64])"
SHARED = f"""
with module('encoder', 'Encoder'):
    with module('encoder.embed', 'Embedding'):
        a: f32[B, L, 64] = embedding({TABLE}, ids)
    b: f32[B, L, 64] = exp(a)
    c: f32[B, L, 64] = add(b, 1.0)
    d: f32[B, L, 64] = tanh(c)
"""


def test_a_module_whose_weights_are_another_s_is_a_call_of_that():
    out = emitted(
        SHARED + f"e: f32[B, L, 50] = linear(d, {TABLE}, None)\nreturn e", "ids: i32[B, L]"
    )
    assert "self.shared = nn.Embedding(args.vocab_size, args.embedding_size)" in out.source
    assert "self.shared.as_linear(self.encoder(self.shared(ids)))" in out.source


def test_it_stays_where_its_argument_is_made_in_the_module():
    inside = SHARED.replace("(\n", "(").replace(", ids)", ", late)")
    inside = inside.replace(
        "    with module('encoder.embed'",
        "    late: i32[B, L] = maximum(ids, 1)\n    with module('encoder.embed'",
    )
    out = emitted(inside + "return d", "ids: i32[B, L]")
    assert "self.shared(" not in out.source


WRITES = """
zeros: f32[B, L, 64] = full(shape=(B, L, 64), value=0.0, dtype=f32)
first: f32[B, L, 64] = block_update(zeros, 1.0, axes=(2,), starts=(8,), stops=(64,))
second: f32[B, L, 64] = select_update(first, row, axis=1, index=-1)
"""


def test_what_the_method_made_is_written_into():
    out = emitted(WRITES + "return second", "row: f32[B, 64], x: f32[B, L, 64]")
    method = out.source.split("def __call__")[1].split("def load")[0]
    assert "        zeros[:, :, 8:] = 1.0\n        zeros[:, -1] = row\n" in method
    assert "zeros[:, -1] = row\n        return zeros\n" in method


def test_what_others_read_is_copied_first():
    text = WRITES.replace("(zeros, 1.0", "(x, 1.0") + "out: f32[B, L, 64] = add(first, second)\n"
    out = emitted(text + "return out", "row: f32[B, 64], x: f32[B, L, 64]")
    method = out.source.split("def __call__")[1].split("def load")[0]
    assert "first = mx.array(x)\n        first[:, :, 8:] = 1.0\n" in method
    assert "second = mx.array(first)\n        second[:, -1] = row\n" in method


CAPPED = """
with module('attn', 'Attention'):
    with module('attn.q', 'Linear'):
        q: f32[B, L, 64] = linear(x, param('attn.q.weight', f32[64, 64]), None)
    q4: f32[B, L, 4, 16] = reshape(q, shape=(B, L, 4, 16))
    q_: f32[B, 4, L, 16] = transpose(q4, axes=(0, 2, 1, 3))
    with module('attn.k', 'Linear'):
        k: f32[B, L, 32] = linear(x, param('attn.k.weight', f32[32, 64]), None)
    k4: f32[B, L, 2, 16] = reshape(k, shape=(B, L, 2, 16))
    k_: f32[B, 2, L, 16] = transpose(k4, axes=(0, 2, 1, 3))
    with module('attn.v', 'Linear'):
        v: f32[B, L, 32] = linear(x, param('attn.v.weight', f32[32, 64]), None)
    v4: f32[B, L, 2, 16] = reshape(v, shape=(B, L, 2, 16))
    v_: f32[B, 2, L, 16] = transpose(v4, axes=(0, 2, 1, 3))
    kt: f32[B, 2, 16, L] = transpose(k_, axes=(0, 1, 3, 2))
    kg: f32[B, 2, 1, 16, L] = expand_dims(kt, axes=(2,))
    qg: f32[B, 2, 2, L, 16] = reshape(q_, shape=(B, 2, 2, L, 16))
    sg: f32[B, 2, 2, L, L] = matmul(qg, kg)
    s: f32[B, 4, L, L] = reshape(sg, shape=(B, 4, L, L))
    capped: f32[B, 4, L, L] = tanh(s)
    p: f32[B, 4, L, L] = softmax(capped, axis=3)
    pg: f32[B, 2, 2, L, L] = reshape(p, shape=(B, 2, 2, L, L))
    vg: f32[B, 2, 1, L, 16] = expand_dims(v_, axes=(2,))
    og: f32[B, 2, 2, L, 16] = matmul(pg, vg)
    o: f32[B, 4, L, 16] = reshape(og, shape=(B, 4, L, 16))
    ot: f32[B, L, 4, 16] = transpose(o, axes=(0, 2, 1, 3))
    flat: f32[B, L, 64] = reshape(ot, shape=(B, L, 64))
    with module('attn.o', 'Linear'):
        y: f32[B, L, 64] = linear(flat, param('attn.o.weight', f32[64, 64]), None)
return y
"""


def test_attention_that_is_written_out_has_the_same_names():
    out = emitted(CAPPED)
    for name in ("num_attention_heads", "num_key_value_heads", "head_dim", "num_key_value_groups"):
        assert name in out.config
    assert (
        "self.o = nn.Linear(\n            args.num_attention_heads * args.head_dim, " in out.source
    )
    for name in ("queries", "keys", "values"):
        assert f"{name} = {name}.transpose(0, 2, 1, 3)\n" in out.source
    assert "attn_size" not in out.config


def test_a_product_with_weights_of_another_shape_is_no_attention():
    text = CAPPED.replace("matmul(pg, vg)", "matmul(sg, vg)")
    assert "num_key_value_groups" not in emitted(text).config
