"""The C++ printer: trees, sizes, names and strings, member layout; whole files stand in generated/."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mlx_transpile import transpile
from mlx_transpile.codegen.bound import Binder, Local, Typed, Verbatim, bind, plain_scalar
from mlx_transpile.codegen.cpp_classes import CppClassPrinter
from mlx_transpile.codegen.cpp_fuse import Chain, Locals, fuse
from mlx_transpile.codegen.cpp_names import KEYWORDS, cpp_string, namespace_of, safe_cpp, unique_cpp
from mlx_transpile.codegen.cpp_render import Names, NotInCpp, number, render_cpp, size
from mlx_transpile.cpp_build import build, run_program
from mlx_transpile.ir import DType, Tensor
from mlx_transpile.ir import tree as t
from mlx_transpile.ir.dims import floordiv, maximum, symbol
from models.hostile import hostile_names

B, L = symbol("B"), symbol("L")
X = Typed(Verbatim("x"), Tensor(DType.f32, (B, L, 4)))
IDS = Typed(Verbatim("ids"), Tensor(DType.i64, (B, L)))
SMALL = Typed(Verbatim("u"), Tensor(DType.u8, (B,)))
COLON = t.Slice()


def cpp(tree: object) -> str:
    operands = [X, IDS, SMALL]
    binder = Binder(lambda i: operands[i], lambda e: e, lambda o, a: 0, plain_scalar)
    return render_cpp(bind(tree, binder), Names()).code


x, ids, small = (t.Operand(i) for i in range(3))


@pytest.mark.parametrize(
    ("tree", "code"),
    [
        (t.infix("*", x, 0.5), "x * nn::Scalar(0.5f)"),
        (t.infix("+", ids, 1), "ids + 1"),
        (t.infix("+", small, 1), "u + nn::Scalar(1)"),
        (t.infix("/", x, 2), "x / nn::Scalar(2)"),
        (t.infix("-", x, t.infix("-", x, x)), "x - (x - x)"),
        (t.infix("*", t.infix("+", x, x), x), "(x + x) * x"),
        (t.infix("&", t.infix("<", x, x), t.infix("<", x, x)), "(x < x) & (x < x)"),
        (t.infix("@", x, t.method(x, "T")), "mx::matmul(x, mx::transpose(x))"),
        (t.infix("**", x, 2.0), "nn::power(x, nn::Scalar(2.0f))"),
        (t.Prefix("~", t.infix("<", x, x)), "mx::logical_not(x < x)"),
        (t.Prefix("-", t.infix("+", x, x)), "-(x + x)"),
        (t.call("mx.maximum", x, x), "mx::maximum(x, x)"),
        (t.call("mx.maximum", x, 0.0), "nn::maximum(x, nn::Scalar(0.0f))"),
        (t.call("mx.softmax", x, axis=-1, precise=True), "mx::softmax(x, -1, true)"),
        (t.call("mx.mean", x, axis=(1, 2), keepdims=True), "mx::mean(x, {1, 2}, true)"),
        (t.call("mx.mean", x, keepdims=True), "mx::mean(x, true)"),
        (t.call("mx.arange", 0.0, 1.0, 0.25), "mx::arange(0.0, 1.0, 0.25, mx::float32)"),
        (t.call("mx.split", x, (1, 3), axis=-1), "nn::split<3>(x, {1, 3}, -1)"),
        (t.method(x, "reshape", B, L, -1), "mx::reshape(x, {B, L, -1})"),
        (t.method(x, "astype", DType.bf16), "mx::astype(x, mx::bfloat16)"),
        (t.Index(x, (COLON, t.NEW_AXIS)), "mx::expand_dims(x, 1)"),
        (t.Index(x, (t.ELLIPSIS, t.NEW_AXIS)), "mx::expand_dims(x, 3)"),
        (t.Index(x, (COLON, t.Slice(1, None))), "nn::slice(x, 1, 1, std::nullopt)"),
        (t.Index(x, (COLON, -1)), "nn::take(x, -1, 1)"),
        (t.Index(x, (COLON, 0, t.NEW_AXIS)), "mx::expand_dims(mx::take(x, 0, 1), 1)"),
        (t.Index(x, (ids,)), "mx::take(x, ids, 0)"),
        (t.Index(x, (ids, COLON, ids)), "nn::index(x, {ids, std::nullopt, ids})"),
        (t.Element(t.call("runtime.sort", x), 1), "std::get<1>(nn::sort(x))"),
        (t.call("runtime.topk", x, 2, largest=False), "nn::topk(x, 2, -1, false)"),
    ],
)
def test_tree(tree: object, code: str) -> None:
    assert cpp(tree) == code


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(NotInCpp, match="keywords and has no row"):
        cpp(t.call("mx.unheard_of", x, axis=1))
    with pytest.raises(NotInCpp, match="the method wobble"):
        cpp(t.method(x, "wobble"))


@pytest.mark.parametrize(
    ("dim", "code"),
    [
        (2 * B * L + 3, "2 * B * L + 3"),
        (floordiv(L + 1, 2), "((L + 1) / 2)"),
        (floordiv(L - B, 3), "nn::floordiv(-B + L, 3)"),
        (maximum(B, L), "std::max(B, L)"),
    ],
)
def test_size(dim: object, code: str) -> None:
    assert size(dim).code == code


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0.1, "0.1f"),
        (1e-5, "1e-05f"),
        (-3.4028234663852886e38, "-3.4028235e+38f"),
        (float("-inf"), "-std::numeric_limits<float>::infinity()"),
        (1e300, "std::numeric_limits<float>::infinity()"),
        (3.4028236e38, "std::numeric_limits<float>::infinity()"),
        (-3.4028235e38, "-3.4028235e+38f"),
        (3.4028234663852886e38, "3.4028235e+38f"),
        (2**40, "int64_t{1099511627776}"),
        (True, "true"),
        (None, "std::nullopt"),
    ],
)
def test_number(value: object, code: str) -> None:
    assert number(value) == code


def test_chain_of_elementwise_ops() -> None:
    """Fused where it is three kernels or more on floats; layers' results are arguments."""
    a, b = Local(0), Local(1)
    types = Locals(
        {0: Tensor(DType.f32, (B, L)), 1: Tensor(DType.f32, (B, 1))}.get, "ab".__getitem__
    )
    swiglu = t.infix("*", t.call("nn.silu", a), b)
    chain = fuse(swiglu, types)
    assert isinstance(chain, Chain) and chain.arguments == (a, b)
    assert fuse(t.infix("+", t.infix("*", a, b), b), types) == t.infix("+", t.infix("*", a, b), b)
    whole = Locals({0: Tensor(DType.i64, (B, L)), 1: Tensor(DType.i64, (B, 1))}.get, types.name)
    assert not isinstance(fuse(swiglu, whole), Chain)
    sized = t.infix("*", swiglu, L)
    assert isinstance(fuse(sized, types).left, Chain)  # the size is not in the chain


def test_arguments_of_a_chain_have_different_names() -> None:
    """An expression without a name is not called like a variable that the chain reads, too."""
    kind = Tensor(DType.f32, (B, L))
    softmax = Typed(t.call("mx.softmax", Local(0), axis=-1), kind)
    tree = t.infix("*", t.infix("+", t.infix("*", softmax, Local(0)), Local(1)), Local(1))
    for names in ("xy", "ab"):
        chain = fuse(tree, Locals({0: kind, 1: kind}.get, names.__getitem__))
        assert isinstance(chain, Chain)
        assert chain.names[0] == ("z" if names == "xy" else "x")


# ---- names and strings


@given(st.text())
@example('"; system("x"); //')
@example("??/\\")
def test_string_is_one_literal(text: str) -> None:
    literal = cpp_string(text)
    assert re.fullmatch(r'"([ !#-\[\]-~]|\\["\\]|\\[0-7]{3})*"', literal)
    decoded = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), literal[1:-1])
    assert decoded.encode("latin-1") == text.encode("utf-8", "surrogatepass")


@given(st.text())
@example("class")
@example("__init__")
def test_names_are_identifiers(text: str) -> None:
    for name in (namespace_of(text), safe_cpp(re.sub(r"\W", "_", text, flags=re.ASCII) or "x")):
        assert re.fullmatch(r"[A-Za-z0-9]\w*", name, re.ASCII) and name not in KEYWORDS
        assert "__" not in name


def test_names_that_differ_still_do() -> None:
    names = ["a__b", "a_b", "default", "default_", "a__b"]
    made = unique_cpp(names)
    assert len(set(made)) == 4 and made[0] == made[4]


CODE = re.compile(r'"(\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/')
WORDS = ("import", "SystemExit", "_exit", "exec", "raise", "system")


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(['"', "\\", "\n", ");", "//", "/*", "x", "}", "system(1)", "??/"]),
                min_size=1, max_size=5).map("".join))  # fmt: skip
@example('"); system("x"); ("')
@example("*/ system(1); /*")
@example("\\\nsystem(1);")
def test_no_name_becomes_code(text: str) -> None:
    case = hostile_names([text.replace(".", "_")], [text], [text])
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        options = {"example_inputs": case.inputs, "name": text, "emit": ("python", "cpp")}
        transpile(case.module, out, **options)
        for file in ("model.h", "model.cpp"):
            code = CODE.sub("", (out / "cpp" / file).read_text())
            assert code.count("{") == code.count("}") and '"' not in code
            assert not re.search(r"\bsystem\s*\(", code)


def test_hostile_names_build_and_run(tmp_path: Path) -> None:
    name = '"); system("x"); ("\n\\ */ // class'
    case = hostile_names([name], [name], [name, "class"])
    options = {"example_inputs": case.inputs, "name": name, "emit": ("python", "cpp")}
    transpile(case.module, tmp_path / "out", **options)
    built = build(tmp_path / "out" / "cpp", tmp_path / "build", build_type="Debug")
    if built.program is None:
        pytest.skip(built.missing)
    import inspect

    names = list(inspect.signature(case.module.forward).parameters)
    inputs = dict(zip(names, (x.numpy() for x in case.inputs), strict=False))
    outputs, _ = run_program(built.program, tmp_path / "out" / "weights.safetensors", [inputs])
    expected = case.module(*case.inputs)
    assert outputs[0].keys() == expected.keys()
    for key, found in outputs[0].items():
        wanted = expected[key].detach().numpy()
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_attributes_that_cpp_would_write_alike_stay_apart():
    printer = object.__new__(CppClassPrinter)
    printer.attributes, printer.kinds, printer.taken = {}, {}, set()
    made = [
        ("a_size", "args.a"),
        ("a__size", "args.b"),
        ("a_size", "args.c"),
        ("a__size", "args.b"),
    ]
    names = [printer._attribute(name, code, 1) for name, code in made]
    assert names == ["a_size_", "other_a_size_", "a_size__", "other_a_size_"]
