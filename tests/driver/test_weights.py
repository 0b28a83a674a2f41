"""Rules from recipes: their patterns, their code, their length; and the files written from them."""

import ast
import functools
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_transpile.codegen import tensorfile
from mlx_transpile.codegen import weights as w
from mlx_transpile.ir import DType, Param, Tensor
from mlx_transpile.ir import recipe as rcp
from mlx_transpile.ir.recipe import Add, Cast, Concatenate, Constant, Permute, Read, Reshape, Slice

A, B = Read("a"), Read("b")
DATA = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def params(*items: tuple[str, rcp.Recipe]) -> dict[str, Param]:
    return {name: Param(name, Tensor(DType.f32, (1,)), recipe) for name, recipe in items}


def rules(*items: tuple[str, rcp.Recipe]) -> w.Rules:
    found = params(*items)
    return w.make_rules(found, [n for p in found.values() for n in rcp.reads(p.recipe)], {})


def table(*items: tuple[str, rcp.Recipe]) -> list[tuple[str, tuple[str, ...], str]]:
    found = rules(*items)
    return [(r.target, r.sources, r.code) for r in [*found.copied, *found.changed, *found.made]]


# ---- code of recipes: the same numbers as the reference evaluation


@pytest.mark.parametrize(
    ("recipe", "code"),
    [
        (Permute(A, (0, 2, 1)), "lambda a: a.transpose(0, 2, 1)"),
        (Reshape(A, (6, 4)), "lambda a: a.reshape([6, 4])"),
        (Reshape(Add(A, B), (6, 4)), "lambda a, b: (a + b).reshape([6, 4])"),
        (Add(A, Add(B, A)), "lambda a, b: a + (b + a)"),
        (Cast(A, DType.bf16), "lambda a: a.astype(mx.bfloat16)"),
        (Cast(A, DType.f64), "lambda a: a.astype(mx.float32)"),
        (Slice(A, 1, 1, 3), "lambda a: a[:, 1:3]"),
        (Slice(Concatenate((A, B), 0), 0, 1, 3), "lambda a, b: mx.concatenate([a, b], axis=0)[1:3]"),
        (Concatenate((A, A), 2), "lambda a: mx.concatenate([a, a], axis=2)"),
    ],
)  # fmt: skip
def test_recipe_as_code(recipe: rcp.Recipe, code: str) -> None:
    ((_, sources, found),) = table(("t", recipe))
    assert found == code
    source = {"a": DATA, "b": DATA[::-1] + 1}
    got = eval(code, {"mx": mx})(*(mx.array(source[s]) for s in sources))
    want = rcp.evaluate(recipe, source)
    assert np.array_equal(np.array(got.astype(mx.float32)), want.astype(np.float32))


def test_constants_travel_beside_the_script() -> None:
    recipe = Add(Constant(DATA, "x"), Concatenate((A, Constant(DATA, "y")), 0))
    found = params(("m.t", recipe))
    made = w.make_rules(found, ["a"], {})
    assert made.made[0].sources == ("constant:m.t", "a", "constant:m.t:1")
    assert list(w.constants(found, {"a": DATA}, made)) == ["constant:m.t", "constant:m.t:1"]


def test_a_source_that_looks_like_a_constant_is_none() -> None:
    made = rules(("t", Read("constant:t")), ("u", Constant(DATA, "x")))
    assert [r.sources for r in made.made] == [("constant:t",), ("constant::u",)]


def test_buffers_travel_as_a_second_source() -> None:
    buffer = Param("t", Tensor(DType.f32, (2, 3, 4)), Permute(Read("inv"), (0, 1, 2)), buffer=True)
    made = w.make_rules({"t": buffer}, ["inv"], {})
    assert list(w.constants({"t": buffer}, {"inv": DATA}, made)) == ["inv"]


# ---- patterns


def test_facts_are_told_apart_by_their_values() -> None:
    facts = {**{f"h.{i}.heads": 4 for i in range(6)}, "h.0.flag": True}
    made = w.make_rules({}, [*facts, "h.0.other"], {}, facts)
    assert [(r.target, r.code) for r in made.facts] == [("h.{}.heads", "4"), ("h.{}.flag", "1")]
    assert [r.target for r in made.unused] == ["h.{}.other"]


def layers(count: int) -> list[tuple[str, rcp.Recipe]]:
    out: list[tuple[str, rcp.Recipe]] = [("embed.weight", Read("embed.weight"))]
    for i in range(count):
        out += [
            (f"h.{i}.q.weight", Read(f"h.{i}.q.weight")),
            (f"h.{i}.down.0.weight", Permute(Read(f"h.{i}.down.0.weight"), (0, 2, 1))),
            (f"h.{i}.down.1.weight", Read(f"h.{i}.down.1.weight")),
            (f"h.{i}.qkv", Concatenate((Read(f"h.{i}.k"), Read(f"h.{i}.v")), 0)),
        ]
    return out


def test_the_table_does_not_grow_with_the_layers() -> None:
    texts = {w.remap_script(rules(*layers(n))) for n in (1, 2, 6, 40)}
    assert len(texts) == 1


def test_rows_that_disagree_are_told_apart_by_the_number_that_matters() -> None:
    assert table(*layers(3)) == [
        ("embed.weight", ("embed.weight",), ""),
        ("h.{}.q.weight", ("h.{}.q.weight",), ""),
        ("h.{}.down.1.weight", ("h.{}.down.1.weight",), ""),
        ("h.{}.down.0.weight", ("h.{}.down.0.weight",), "lambda a: a.transpose(0, 2, 1)"),
        ("h.{}.qkv", ("h.{}.k", "h.{}.v"), "lambda a, b: mx.concatenate([a, b], axis=0)"),
    ]


def test_sources_with_other_numbers() -> None:
    turned = [(f"a.{i}.b.{j}", Read(f"x.{j}.y.{i}.7.z")) for i in range(2) for j in range(3)]
    assert table(*turned) == [("a.{}.b.{}", ("x.{1}.y.{0}.7.z",), "None")]
    shifted = [(f"a.{i}", Read(f"x.{i + 1}")) for i in range(2)]
    assert table(*shifted) == [("a.0", ("x.1",), "None"), ("a.1", ("x.2",), "None")]


def test_sources_without_a_pattern_are_listed_by_number() -> None:
    names = ["onnx::MatMul_331", "w{}", "x.3"]
    rows = [(f"h.{i}.q", Permute(Read(name), (1, 0))) for i, name in enumerate(names)]
    assert table(*rows) == [("h.{}.q", (tuple(names),), "lambda a: a.transpose(1, 0)")]
    two_kinds = [*rows, ("h.3.q", Read("y"))]
    assert len(table(*two_kinds)) == 4


def test_only_whole_numbers_are_numbers() -> None:
    names = ["l.0.w", "l.01.w", "l.x1.w", "l.².w", "l.{}.w", "l.{0}.w"]
    found = [row[0] for row in table(*((n, Read(n)) for n in names))]
    assert found == ["l.{}.w", "l.01.w", "l.x1.w", "l.².w", "l.{{}}.w", "l.{{0}}.w"]


# ---- names that hurt

hostile = st.text(min_size=1, max_size=12) | st.sampled_from(
    [
        '"""',
        "'''",
        "\\",
        "\n__import__('os')",
        "{}",
        "{0}",
        "{{",
        "}",
        "{0.__class__}",
        "0",
        "00",
        "#",
        "\u202e",
        "\ud800",
        ")]\nraise SystemExit",
    ]
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(hostile, min_size=1, max_size=4).map(".".join), min_size=1, max_size=5, unique=True
    )
)
def test_no_name_becomes_code(names: list[str]) -> None:
    found = params(
        *((n, Permute(Read(n), (0,)) if i % 2 else Read(n)) for i, n in enumerate(names))
    )
    made = w.make_rules(
        found,
        [*names, "unused\n" + names[0]],
        {names[0] + "'": names[0]},
        layers=dict.fromkeys(names, "head"),
    )
    text = w.remap_script(made)
    assert text.isascii()
    assert skeleton(text) == plain_skeleton()
    namespace: dict[str, object] = {"__file__": "remap_weights.py", "__name__": "remap"}
    exec(text, namespace)
    compiled = namespace["compiled_rules"]()  # type: ignore[operator]
    for name in names:
        sources, _ = namespace["expand"](compiled, name)  # type: ignore[operator]
        assert sources == [name]


@functools.cache
def plain_skeleton() -> str:
    return skeleton(w.remap_script(rules(("x", Read("x")))))


def skeleton(text: str) -> str:
    """The syntax tree without the tables."""
    tree = ast.parse(text)
    tables = {
        "MARK", "COPIED", "CHANGED", "MADE", "ALIASES", "FACTS", "LAYERS", "UNUSED", "CONSTANT",
    }  # fmt: skip
    kept = []
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name) and target.id in tables:
            calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
            assert all(ast.unparse(c.func) == "a.transpose" for c in calls)
            continue
        kept.append(ast.dump(node))
    return "\n".join(kept)


# ---- files


def test_tensors_are_aligned_and_readable(tmp_path: Path) -> None:
    import ml_dtypes

    arrays = {
        "b": np.array([True]), "i": np.arange(3), "h": np.arange(3, dtype=ml_dtypes.bfloat16), "e": np.zeros((0, 2), np.float32),
        "s": np.float32(3).reshape(()), "c": np.array([1 + 2j], np.complex64), "t": DATA.transpose(2, 0, 1), 'q"\n': DATA.astype(np.float16),
    }  # fmt: skip
    path = tmp_path / "t.safetensors"
    tensorfile.write_tensors(path, tensorfile.entries(arrays), {"k": "v"})
    loaded, metadata = mx.load(str(path), return_metadata=True)
    assert metadata == {"k": "v"}
    for name, array in arrays.items():
        got = loaded[name]
        assert tuple(got.shape) == array.shape
        assert got.tolist() == array.tolist()
    reverse = tmp_path / "r.safetensors"
    tensorfile.write_tensors(reverse, reversed(tensorfile.entries(arrays)), {"k": "v"})
    assert path.read_bytes() == reverse.read_bytes()


@pytest.mark.parametrize(
    ("dtype", "shape", "data", "message"),
    [
        (DType.f32, (2,), np.zeros(3, np.float32), r"x is f32\[3\], not f32\[2\]"),
        (DType.f32, (2,), np.zeros(2, np.float16), r"x is f16\[2\]"),
        (DType.f64, (2,), np.zeros(2), "MLX cannot load x from a file: it is f64"),
    ],
)
def test_an_entry_that_is_not_what_it_says(
    tmp_path: Path, dtype: DType, shape: tuple[int, ...], data: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        tensorfile.write_tensors(
            tmp_path / "x", [tensorfile.Entry("x", dtype, shape, lambda: data)], {}
        )


def test_float64_is_stored_as_float32(tmp_path: Path) -> None:
    wide = Param("w", Tensor(DType.f64, (2,)), Add(Read("w"), Read("w")))
    made = w.make_rules({"w": wide}, ["w"], {})
    w.write_weights(tmp_path / "w.safetensors", {"w": wide}, {"w": np.array([0.1, 0.2])}, made)
    loaded = mx.load(str(tmp_path / "w.safetensors"))["w"]
    assert loaded.dtype == mx.float32
    assert np.array_equal(np.array(loaded), np.array([0.1, 0.2], np.float32) * 2)


def test_the_script_is_formatted() -> None:
    import black

    text = w.remap_script(rules(*layers(2)))
    assert black.format_str(text, mode=black.Mode()) == text
