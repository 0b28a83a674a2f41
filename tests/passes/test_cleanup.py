"""Clean-up, constants, shapes, common and dead code: text in, text out."""

import hashlib

import numpy as np
import pytest
from pass_tools import applied, becomes, graph_of, text_of, unchanged

from mlx_transpile.passes.pipeline import run

SIMPLE = {
    "cast to the same type": ("y: f32[B, 4] = cast(x, dtype=f32)", "x"),
    "view of the same shape": ("y: f32[B, 4] = reshape(x, shape=(B, 4))", "x"),
    "whole slice": ("y: f32[B, 4] = slice(x, axis=1, start=0, stop=4)", "x"),
    "slice past the end": (
        "y: f32[B, 4] = slice(x, axis=1, start=0, stop=9223372036854775807)",
        "x",
    ),
    "broadcast to the own shape": ("y: f32[B, 4] = broadcast_to(x, shape=(B, 4))", "x"),
    "identity permutation": ("y: f32[B, 4] = transpose(x, axes=(0, 1))", "x"),
    "concatenation of one": ("y: f32[B, 4] = concatenate(x, axis=0)", "x"),
    "padding of 0": ("y: f32[B, 4] = pad(x, low=(0, 0), high=(0, 0))", "x"),
    "plus 0": ("y: f32[B, 4] = add(0, x)", "x"),
    "minus 0": ("y: f32[B, 4] = subtract(x, 0.0)", "x"),
    "times 1": ("y: f32[B, 4] = multiply(x, 1)", "x"),
    "by 1": ("y: f32[B, 4] = divide(x, 1.0)", "x"),
    "clip without bounds": ("y: f32[B, 4] = clip(x, None, None)", "x"),
}


@pytest.mark.parametrize("line, result", SIMPLE.values(), ids=SIMPLE)
def test_does_nothing(line, result):
    becomes(
        f"""
        def forward(x: f32[B, 4]):
            {line}
            z: f32[B, 4] = exp(y)
            return z
        """,
        f"""
        def forward(x: f32[B, 4]):
            z: f32[B, 4] = exp({result})
            return z
        """,
        "cleanup",
    )


KEPT = {
    "0 minus x": "y: f32[B, 4] = subtract(0, x)",
    "1 by x": "y: f32[B, 4] = divide(1, x)",
    "plus another number": "y: f32[B, 4] = add(x, 1e-06)",
    "reversed order": "y: f32[4, B] = transpose(x, axes=(1, 0))",
    "flip": "y: f32[B, 4] = flip(x, axes=(1,))",
    "narrowing cast": "y: f16[B, 4] = cast(x, dtype=f16)",
}


@pytest.mark.parametrize("line", KEPT.values(), ids=KEPT)
def test_does_something(line):
    unchanged(
        f"def forward(x: f32[B, 4]):\n    {line}\n    return y",
        "cleanup",
        "simplify_shapes",
        "fold_constants",
    )


def test_reductions_over_no_elements_are_constants():
    """MLX's CPU loops may run without end over them."""
    becomes(
        """
        def forward(x: f32[B, 0, 4]):
            y: f32[B, 4] = sum(x, axes=(1,), keepdims=False)
            z: f32[B, 1, 4] = prod(x, axes=(1,), keepdims=True)
            w: f32[B, 0] = sum(x, axes=(2,), keepdims=False)
            return y, z, w
        """,
        """
        def forward(x: f32[B, 0, 4]):
            y: f32[B, 4] = full(shape=(B, 4), value=0, dtype=f32)
            z: f32[B, 1, 4] = full(shape=(B, 1, 4), value=1, dtype=f32)
            w: f32[B, 0] = sum(x, axes=(2,), keepdims=False)
            return y, z, w
        """,
        "cleanup",
    )


def test_casts_that_widen_are_skipped():
    becomes(
        """
        def forward(x: i32[B, 4]):
            a: i64[B, 4] = cast(x, dtype=i64)
            y: f32[B, 4] = cast(a, dtype=f32)
            return y
        """,
        """
        def forward(x: i32[B, 4]):
            y: f32[B, 4] = cast(x, dtype=f32)
            return y
        """,
        "cleanup",
    )


def test_casts_that_narrow_stay():
    unchanged(
        """
        def forward(x: f32[B, 4]):
            a: i32[B, 4] = cast(x, dtype=i32)
            y: f32[B, 4] = cast(a, dtype=f32)
            return y
        """,
        "cleanup",
    )


def test_two_transposes_are_one():
    becomes(
        """
        def forward(x: f32[B, L, 4, 2]):
            a: f32[B, 4, L, 2] = transpose(x, axes=(0, 2, 1, 3))
            y: f32[B, 4, 2, L] = transpose(a, axes=(0, 1, 3, 2))
            return y
        """,
        """
        def forward(x: f32[B, L, 4, 2]):
            y: f32[B, 4, 2, L] = transpose(x, axes=(0, 2, 3, 1))
            return y
        """,
        "cleanup",
    )


def test_pairs_across_layers_stay():
    """Else the first of repeated layers would differ from the second one."""
    unchanged(
        """
        def forward(x: f32[B, L, 4]):
            with module("layers.0", "Block"):
                a: f32[B, 4, L] = transpose(x, axes=(0, 2, 1))
            with module("layers.1", "Block"):
                b: f32[B, L, 4] = transpose(a, axes=(0, 2, 1))
                y: f32[B, L, 4] = exp(b)
            return y
        """,
        "cleanup",
    )


def test_needless_broadcast_goes():
    becomes(
        """
        def forward(x: f32[B, L, 4], m: f32[B, 1, 1]):
            w: f32[B, L, 1] = broadcast_to(m, shape=(B, L, 1))
            y: f32[B, L, 4] = add(x, w)
            return y
        """,
        """
        def forward(x: f32[B, L, 4], m: f32[B, 1, 1]):
            y: f32[B, L, 4] = add(x, m)
            return y
        """,
        "cleanup",
    )


def test_broadcast_that_gives_the_shape_stays():
    unchanged(
        """
        def forward(m: f32[B, 1, 1], n: f32[1, 1, 4]):
            w: f32[B, 7, 1] = broadcast_to(m, shape=(B, 7, 1))
            y: f32[B, 7, 4] = add(w, n)
            return y
        """,
        "cleanup",
    )


def test_one_of_two_broadcasts_gives_the_shape():
    text, _ = applied(
        """
        def forward(m: f32[B, 1, 4]):
            a: f32[B, 7, 4] = broadcast_to(m, shape=(B, 7, 4))
            e: f32[B, 1, 4] = exp(m)
            b: f32[B, 7, 4] = broadcast_to(e, shape=(B, 7, 4))
            y: f32[B, 7, 4] = add(a, b)
            return y
        """,
        "cleanup",
    )
    assert text.count("broadcast_to") == 1


def test_logic_with_constants():
    becomes(
        """
        def forward(m: bool[B, L], x: f32[B, L]):
            t: bool[()] = full(shape=(), value=True, dtype=bool)
            a: bool[B, L] = bitwise_and(m, t)
            n: bool[B, L] = invert(a)
            y: f32[B, L] = where(n, x, 0.0)
            return y
        """,
        """
        def forward(m: bool[B, L], x: f32[B, L]):
            y: f32[B, L] = where(m, 0.0, x)
            return y
        """,
        "fold_constants", "cleanup",
    )  # fmt: skip


def test_uniform_arrays_are_scalars():
    becomes(
        """
        def forward(x: f32[B, 4]):
            two: f32[()] = full(shape=(), value=2.0, dtype=f32)
            half: f32[()] = reciprocal(two)
            wide: f32[B, 4] = broadcast_to(half, shape=(B, 4))
            y: f32[B, 4] = multiply(x, wide)
            return y
        """,
        """
        def forward(x: f32[B, 4]):
            y: f32[B, 4] = multiply(x, 0.5)
            return y
        """,
        "fold_constants",
    )


def test_a_uniform_array_that_gives_the_shape_stays():
    text, _ = applied(
        """
        def forward(x: f32[B, 1]):
            ones: f32[B, 4] = full(shape=(B, 4), value=1.0, dtype=f32)
            y: f32[B, 4] = multiply(x, ones)
            return y
        """
    )
    assert "multiply(x, ones)" in text


def test_constant_parameter_is_a_scalar():
    data = np.array(3.0, np.float32)
    digest = hashlib.sha256(data.tobytes()).hexdigest()
    becomes(
        f"""
        def forward(x: f32[B, 4]):
            y: f32[B, 4] = multiply(x, param("c", f32[()], recipe=constant({digest!r}), buffer=True))
            return y
        """,
        """
        def forward(x: f32[B, 4]):
            y: f32[B, 4] = multiply(x, 3.0)
            return y
        """,
        "fold_constants", "dce", constants={digest: data},
    )  # fmt: skip


def test_chains_of_views_are_one():
    becomes(
        """
        def forward(x: f32[B, L, 8]):
            a: f32[B, L, 2, 4] = reshape(x, shape=(B, L, 2, 4))
            b: f32[B, L, 2, 4, 1] = expand_dims(a, axes=(4,))
            y: f32[B, L, 8, 1] = reshape(b, shape=(B, L, 8, 1))
            s: f32[B, L, 8] = reshape(y, shape=(B, L, 8))
            z: f32[B, L, 8] = exp(s)
            return y, z
        """,
        """
        def forward(x: f32[B, L, 8]):
            y: f32[B, L, 8, 1] = expand_dims(x, axes=(3,))
            z: f32[B, L, 8] = exp(x)
            return y, z
        """,
        "simplify_shapes",
    )


def test_slices():
    becomes(
        """
        def forward(x: f32[B, L, 8]):
            a: f32[B, L, 6] = slice(x, axis=2, start=2, stop=8)
            b: f32[B, L, 3] = slice(a, axis=2, start=3, stop=6)
            c: f32[B, L, 1] = slice(b, axis=2, start=1, stop=2)
            d: f32[B, L] = squeeze(c, axes=(2,))
            return b, d
        """,
        """
        def forward(x: f32[B, L, 8]):
            b: f32[B, L, 3] = slice(x, axis=2, start=5)
            d: f32[B, L] = select(x, axis=2, index=6)
            return b, d
        """,
        "simplify_shapes",
    )


def test_shifted_range():
    becomes(
        """
        def forward(x: i64[B, L]):
            r: i64[L] = arange(stop=L, dtype=i64)
            p: i64[L] = add(r, 2)
            y: i64[B, L] = add(x, p)
            return y
        """,
        """
        def forward(x: i64[B, L]):
            p: i64[L] = arange(start=2, stop=L + 2, dtype=i64)
            y: i64[B, L] = add(x, p)
            return y
        """,
        "simplify_shapes",
    )


FREE = {
    "one composite": ("f32[B, 6, 2*L]", "(B, 6, 2*L)", 2),
    "the only constant": ("f32[B, L, 12]", "(B, L, 12)", 2),
    "two constants": ("f32[B, L, 3, 4]", "(B, L, 3, 4)", None),
    "two composites": ("f32[2*B, 2*L, 3]", "(2*B, 2*L, 3)", None),
}


@pytest.mark.parametrize("kind, shape, free", FREE.values(), ids=FREE)
def test_inferred_axis(kind, shape, free):
    option = "" if free is None else f", free={free}"
    before = (
        f"def forward(x: f32[B, L, 6, 2]):\n    y: {kind} = reshape(x, shape={shape})\n    return y"
    )
    becomes(before, before.replace(shape, shape + option), "infer_axes")


def test_cse_within_a_scope_and_from_above():
    becomes(
        """
        def forward(x: f32[B, 4]):
            a: f32[B, 4] = exp(x)
            with module("inner", "Inner"):
                b: f32[B, 4] = exp(x)
                c: f32[B, 4] = add(b, x)
                d: f32[B, 4] = add(x, b)
                y: f32[B, 4] = multiply(c, d)
            return a, y
        """,
        """
        def forward(x: f32[B, 4]):
            a: f32[B, 4] = exp(x)
            with module("inner", "Inner"):
                c: f32[B, 4] = add(a, x)
                y: f32[B, 4] = multiply(c, c)
            return a, y
        """,
        "cse",
    )


def test_cse_never_reads_a_sibling():
    unchanged(
        """
        def forward(x: f32[B, 4]):
            with module("layers.0", "Block"):
                a: f32[B, 4] = exp(x)
                b: f32[B, 4] = add(a, x)
            with module("layers.1", "Block"):
                c: f32[B, 4] = exp(x)
                d: f32[B, 4] = multiply(c, b)
            return d
        """,
        "cse",
    )


def test_cse_tells_numbers_apart():
    unchanged(
        """
        def forward(x: f32[B, 4]):
            a: f32[B, 4] = power(x, 0.5)
            b: f32[B, 4] = power(x, 0.25)
            y: f32[B, 4] = add(a, b)
            return y
        """.replace("power(x", "maximum(x"),
        "cse",
    )


def test_dead_code_and_parameters_go():
    graph = graph_of(
        """
        def forward(x: f32[B, 4]):
            a: f32[B, 3] = linear(x, param("unused", f32[3, 4]), None)
            y: f32[B, 4] = exp(x)
            return y
        """
    )
    run(graph, passes=["dce"])
    assert "unused" not in text_of(graph) and not graph.params


def test_parameter_transform_that_all_uses_share_is_folded():
    becomes(
        """
        def forward(x: f32[B, 4]):
            w: f32[3, 4] = transpose(param("w", f32[4, 3]), axes=(1, 0))
            a: f32[B, 3] = linear(x, w, None)
            with module("again", "Again"):
                v: f32[3, 4] = transpose(param("w", f32[4, 3]), axes=(1, 0))
                y: f32[B, 3] = linear(x, v, a)
            return y
        """.replace(", a)", ", None)").replace("return y", "return a, y"),
        """
        def forward(x: f32[B, 4]):
            a: f32[B, 3] = linear(x, param("w", f32[3, 4], recipe=permute(read("w"), (1, 0))), None)
            with module("again", "Again"):
                y: f32[B, 3] = linear(x, param("w", f32[3, 4], recipe=permute(read("w"), (1, 0))), None)
            return a, y
        """,
        "fold_parameters",
    )


def test_parameter_with_two_layouts_stays():
    unchanged(
        """
        def forward(x: f32[B, 4], i: i64[B]):
            w: f32[3, 4] = transpose(param("w", f32[4, 3]), axes=(1, 0))
            a: f32[B, 3] = linear(x, w, None)
            b: f32[B, 3] = embedding(param("w", f32[4, 3]), i)
            return a, b
        """,
        "fold_parameters",
    )


def test_index_arithmetic_in_32_bits():
    becomes(
        """
        def forward(x: f32[B, L, 4]):
            r: i64[L] = arange(stop=L, dtype=i64)
            p: i64[L] = add(r, 2)
            e: f32[L, 4] = embedding(param("w", f32[80, 4]), p)
            c: i64[L, 1] = expand_dims(r, axes=(1,))
            m: bool[L, L] = less_equal(r, c)
            return e, m
        """,
        """
        def forward(x: f32[B, L, 4]):
            r: i32[L] = arange(stop=L, dtype=i32)
            p: i32[L] = add(r, 2)
            e: f32[L, 4] = embedding(param("w", f32[80, 4]), p)
            c: i32[L, 1] = expand_dims(r, axes=(1,))
            m: bool[L, L] = less_equal(r, c)
            return e, m
        """,
        "narrow_integers",
    )


WIDE = {
    "an output": "y: i64[L] = add(r, 1)",
    "met by an input": "y: bool[B, L] = less(r, lengths)",
    "products of sizes": "s: i64[L] = multiply(r, L)\n    y: bool[L] = less(s, 9)",
    "large numbers": "s: i64[L] = add(r, 3000000000)\n    y: bool[L] = less(s, 9)",
}


@pytest.mark.parametrize("lines", WIDE.values(), ids=WIDE)
def test_integers_that_stay_wide(lines):
    unchanged(
        f"def forward(lengths: i64[B, L]):\n    r: i64[L] = arange(stop=L, dtype=i64)\n    {lines}\n    return y",
        "narrow_integers",
    )


def test_choice_with_a_constant_condition():
    becomes(
        """
        def forward(x: f32[B, 4], y: f32[B, 4]):
            t: bool[B, 4] = full(shape=(B, 4), value=True, dtype=bool)
            n: bool[B, 4] = invert(t)
            a: f32[B, 4] = where(t, x, y)
            b: f32[B, 4] = where(n, x, y)
            return a, b
        """,
        """
        def forward(x: f32[B, 4], y: f32[B, 4]):
            return x, y
        """,
        "fold_constants",
    )


def test_an_index_of_a_stack_and_a_squeezed_reduction():
    becomes(
        """
        def forward(x: f32[B, 4], y: f32[B, 4]):
            s: f32[2, B, 4] = stack(x, y, axis=0)
            a: f32[B, 4] = select(s, axis=0, index=-1)
            m: f32[B, 1] = mean(a, axes=(1,), keepdims=True)
            r: f32[B] = squeeze(m, axes=(1,))
            return r
        """,
        """
        def forward(x: f32[B, 4], y: f32[B, 4]):
            r: f32[B] = mean(y, axes=(1,))
            return r
        """,
        "cleanup", "simplify_shapes",
    )  # fmt: skip


def test_a_varying_constant_stays():
    data = np.arange(3, dtype=np.float32)
    digest = hashlib.sha256(data.tobytes()).hexdigest()
    unchanged(
        f"""
        def forward(x: f32[B, 3]):
            y: f32[B, 3] = multiply(x, param("c", f32[3], recipe=constant({digest!r}), buffer=True))
            return y
        """,
        "fold_constants", constants={digest: data},
    )  # fmt: skip


PARTS = """
def forward(x: f32[B, 8]):
    a: f32[B, 3] = slice(x, axis=1, stop=3)
    b: f32[B, 5] = slice(x, axis=1, start=3)
    y: f32[B, 8] = concatenate(a, b, axis=1)
    return y
"""


def test_all_slices_of_an_axis_are_the_array():
    assert "concatenate" not in applied(PARTS, "cleanup")[0]


def test_slices_in_another_order_stay():
    unchanged(PARTS.replace("concatenate(a, b,", "concatenate(b, a,"), "cleanup")
    missing = PARTS.replace("f32[B, 5]", "f32[B, 4]").replace("start=3)", "start=4)")
    unchanged(missing.replace("y: f32[B, 8]", "y: f32[B, 7]"), "cleanup")


REGIONS = """
def forward(x: f32[B, L]):
    same: bool[B, L] = equal(x, 0.0)
    other: bool[B, L] = not_equal(x, 0.0)
    far: f32[B, L] = where(other, -100.0, x)
    y: f32[B, L] = where(same, 0.0, far)
    return y
"""


def test_of_a_comparison_and_its_opposite_one_decides():
    becomes(
        REGIONS,
        """
        def forward(x: f32[B, L]):
            same: bool[B, L] = equal(x, 0.0)
            y: f32[B, L] = where(same, 0.0, -100.0)
            return y
        """,
        "cleanup",
    )


def test_comparisons_with_other_numbers_both_decide():
    unchanged(REGIONS.replace("not_equal(x, 0.0)", "not_equal(x, 1.0)"), "cleanup")
