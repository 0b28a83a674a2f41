"""Symbolic sizes: their algebra beside that of integers, their bounds, their text."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_transpile.ir.dims import (
    Atom,
    Expr,
    bounds,
    divide_exact,
    divided_further,
    divisions,
    evaluate,
    floordiv,
    in_terms_of,
    lone,
    maximum,
    minimum,
    multiply_out,
    parse_dim,
    product,
    provably_le,
    substitute,
    symbol,
    symbols,
)

B, L, S = symbol("B"), symbol("L"), symbol("S", 1, 512)
SIZES = st.fixed_dictionaries(
    {"B": st.integers(1, 40), "L": st.integers(1, 3000), "S": st.integers(1, 512)}
)
LEAVES = st.one_of(st.integers(-7, 20), st.sampled_from([B, L, S]))


def _grow(inner):
    pair = st.tuples(inner, inner)
    return st.one_of(
        pair.map(lambda p: p[0] + p[1]),
        pair.map(lambda p: p[0] - p[1]),
        pair.map(lambda p: p[0] * p[1]),
        pair.map(lambda p: minimum(*p)),
        pair.map(lambda p: maximum(*p)),
        st.tuples(inner, st.integers(1, 9)).map(lambda p: floordiv(*p)),
        st.tuples(inner, st.integers(1, 9)).map(lambda p: p[0] % p[1]),
    )


EXPRESSIONS = st.recursive(LEAVES, _grow, max_leaves=6)
FAST = settings(max_examples=80, deadline=None)


def value(dim, sizes):
    return evaluate(dim, sizes)


@FAST
@given(EXPRESSIONS, EXPRESSIONS, SIZES)
def test_arithmetic_is_that_of_integers(a, b, sizes):
    x, y = value(a, sizes), value(b, sizes)
    assert value(a + b, sizes) == x + y
    assert value(a - b, sizes) == x - y
    assert value(a * b, sizes) == x * y
    assert value(minimum(a, b), sizes) == min(x, y)
    assert value(maximum(a, b), sizes) == max(x, y)


@FAST
@given(EXPRESSIONS, st.integers(1, 12), SIZES)
def test_floor_division_and_remainder(a, n, sizes):
    x = value(a, sizes)
    assert value(floordiv(a, n), sizes) == x // n
    assert value(a % n, sizes) == x % n


@FAST
@given(EXPRESSIONS, st.sampled_from([B, L, S, B * L, 4 * L + 2]), SIZES)
def test_floor_division_by_an_expression(a, b, sizes):
    assert value(floordiv(a, b), sizes) == value(a, sizes) // value(b, sizes)


@FAST
@given(EXPRESSIONS, EXPRESSIONS, EXPRESSIONS)
def test_one_normal_form(a, b, c):
    assert a + b == b + a
    assert a * b == b * a
    assert (a + b) + c == a + (b + c)
    assert a * (b + c) == a * b + a * c
    assert a - a == 0


@FAST
@given(EXPRESSIONS, SIZES)
def test_bounds_hold(a, sizes):
    low, high = bounds(a)
    assert low is None or low <= value(a, sizes)
    assert high is None or value(a, sizes) <= high


@FAST
@given(EXPRESSIONS, EXPRESSIONS, SIZES)
def test_proved_order_holds(a, b, sizes):
    if provably_le(a, b):
        assert value(a, sizes) <= value(b, sizes)


@FAST
@given(EXPRESSIONS, EXPRESSIONS)
def test_exact_division_undoes_a_product(a, b):
    if b != 0:
        quotient = divide_exact(a * b, b)
        assert quotient is None or quotient * b == a * b


@FAST
@given(EXPRESSIONS)
def test_text_reads_back(a):
    known = {"B": B, "L": L, "S": S}
    assert parse_dim(str(a), known) == a


@FAST
@given(EXPRESSIONS, SIZES)
def test_substitution_by_numbers_is_evaluation(a, sizes):
    assert substitute(a, sizes) == value(a, sizes)


SIMPLIFIED = {
    "terms cancel": (B + L - B, "L"),
    "whole part leaves a division": ((4 * L + 3) // 4, "L"),
    "constant leaves a division": ((L + 9) // 4, "((L + 1)//4) + 2"),
    "nested divisions": ((L // 2) // 3, "(L//6)"),
    "product divides": ((B * L * 8) // (B * 8), "L"),
    "bounded minimum": (minimum(S, 512), "S"),
    "minimum of one and more": (minimum(L, L + 3), "L"),
    "clamped to nothing": (maximum(L - 1, 0), "L - 1"),
    "remainder of a multiple": ((6 * L) % 3, "0"),
}


@pytest.mark.parametrize(("dim", "text"), SIMPLIFIED.values(), ids=SIMPLIFIED)
def test_simplified(dim, text):
    assert str(dim) == text


def test_evaluation_names_what_is_missing():
    with pytest.raises(KeyError, match="L"):
        evaluate(B + L, {"B": 2})


def test_symbols_inside_divisions_are_found():
    assert {s.name for s in symbols((B + L // 2) * minimum(S, B))} == {"B", "L", "S"}


def test_product_of_nothing_is_one():
    assert product([]) == 1 and math.prod([]) == 1


def test_remainders_tighten_the_bounds_of_bounded_sizes():
    assert bounds(-4 * floordiv(-S, 4) - S) == (0, 3)
    assert minimum(2 * floordiv(S + 1, 2) - 1, S - 1) == S - 1
    assert bounds(L // 4 - L // 8)[0] == 0


def test_what_rises_with_a_quotient_is_least_where_that_is():
    four = symbol("F", low=4)
    assert bounds(four // 4 - four // 8) == (1, None)
    assert bounds(four // 8 - four // 4) == (None, -1)
    assert bounds(-4 * floordiv(four // 8 - four // 4, 4))[0] == 4
    assert bounds(L - L // 3)[0] == 1


def test_numbers_stay_numbers():
    assert isinstance(L - L + 3, int) and not isinstance(L - 1, int) and isinstance(L, Expr)


@pytest.mark.parametrize("text", ["L / 2", "f(L)", "L ** 2", "'L'"])
def test_what_is_no_dim(text):
    with pytest.raises(ValueError, match="not a dim"):
        parse_dim(text, {})


@FAST
@given(EXPRESSIONS, SIZES, st.integers(2, 6), st.integers(-3, 3))
def test_a_division_without_remainder_multiplies_out(a, sizes, by, offset):
    solved = (L - offset) // by
    exact = {**sizes, "L": by * (sizes["L"] + 1) + offset}
    local = substitute(a, {"S": solved})
    out = multiply_out(local, divisions(solved))
    assert value(out, exact) == value(local, exact)


def test_a_multiple_of_a_half_is_no_division():
    half = L // 2
    assert str(multiply_out(8 * half + B, divisions(half))) == "B + 4*L"
    assert str(multiply_out(3 * half, divisions(half))) == "3*(L//2)"


@FAST
@given(SIZES, st.integers(1, 6), st.integers(0, 9), st.integers(2, 5), st.integers(-4, 4))
def test_a_quotient_is_divided_further(sizes, m, offset, by, k):
    first = Atom("floordiv", (L + offset, m))
    second = Atom("floordiv", (L + offset + k * m, m * by))
    found = divided_further(second, first, value(floordiv(L + offset, m), sizes))
    assert found == value(lone(second), sizes)


def test_a_part_of_a_sum_is_written_by_what_it_is():
    part = L // 4 - L // 8
    N = symbol("N")
    assert str(in_terms_of(8 - 2 * part + B, part, N)) == str(8 - 2 * N + B)
    assert in_terms_of(L // 4 + B, part, N) == L // 4 + B


@FAST
@given(EXPRESSIONS, EXPRESSIONS, SIZES, st.integers(1, 6))
def test_what_both_have_as_a_factor_leaves_a_quotient(a, b, sizes, by):
    factor = by * symbol("B") * L
    if value(b, sizes):
        assert value(floordiv(factor * a, factor * b), sizes) == value(floordiv(a, b), sizes)


@FAST
@given(st.integers(-9, 9), st.integers(1, 9), st.integers(0, 9), SIZES)
def test_bounds_of_a_quotient_by_a_size(a, factor, offset, sizes):
    quotient = floordiv(a, factor * L + offset)
    low, high = bounds(quotient)
    exact = value(quotient, sizes)
    assert exact == a // (factor * sizes["L"] + offset)
    assert (low is None or low <= exact) and (high is None or exact <= high)


def test_quotients_by_sizes_are_simplified():
    B = symbol("B")
    assert floordiv(6 * B * L, 4 * B) == floordiv(3 * L, 2)
    assert floordiv(2, 4 * L) == 0 and floordiv(-2, 4 * L) == -1
