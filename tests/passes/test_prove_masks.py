"""Masks by what they say: causal ones are named, full ones go, the others are written short."""

import numpy as np
import pytest
from pass_tools import applied, becomes, graph_of, random_case, refusals

from mlx_transpile.ir.interpret import interpret
from mlx_transpile.ir.verify import VerifyError
from mlx_transpile.passes.index_analysis import Analysis
from mlx_transpile.passes.index_masks import Proof, classify, scores, visible_keys
from mlx_transpile.passes.pipeline import run


def attention(
    mask: str, keys: str = "L", body: str = "", empty: bool = True, kind: str = "bool"
) -> str:
    """q of L places over k, v; `m` is the mask, made in `body`."""
    rows = ", empty_rows=True" if empty and kind == "bool" else ""
    lines = "\n".join(f"        {line.strip()}" for line in body.strip().splitlines())
    return f"""
    def forward(q: f32[B, 2, L, 4], k: f32[B, 2, {keys}, 4], pad: bool[B, {keys}]):
        i: i64[L] = arange(stop=L, dtype=i64)
        j: i64[{keys}] = arange(stop={keys}, dtype=i64)
        row: i64[L, 1] = expand_dims(i, axes=(1,))
{lines}
        y: f32[B, 2, L, 4] = attention(q, k, k, {mask}, scale=0.5{rows})
        return y
    """


def after(text: str) -> str:
    return applied(text, "prove_masks")[0]


def is_causal(text: str) -> bool:
    found = after(text)
    named = "causal='lower_right'" in found
    assert not named or (
        "less_equal" not in found and "arange" not in found and "empty" not in found
    )
    return named


CAUSAL = "m: bool[L, L] = less_equal(j, row)"


def test_causal():
    becomes(
        attention("m", body=CAUSAL),
        """
        def forward(q: f32[B, 2, L, 4], k: f32[B, 2, L, 4], pad: bool[B, L]):
            y: f32[B, 2, L, 4] = attention(q, k, k, None, scale=0.5, causal='lower_right', by=["causal_mask"])
            return y
        """,
        "prove_masks",
    )


@pytest.mark.parametrize(
    "body",
    [
        "m: bool[L, L] = greater_equal(row, j)",
        "n: bool[L, L] = less(row, j)\nm: bool[L, L] = invert(n)",
        "o: bool[L, L] = full(shape=(L, L), value=True, dtype=bool)\nm: bool[L, L] = tril(o, offset=0)",
        "d: i64[L, L] = subtract(row, j)\nm: bool[L, L] = greater(d, -1)",
        "c: bool[L, L] = less_equal(j, row)\no: bool[L, 1] = greater_equal(row, 0)\nm: bool[L, L] = bitwise_and(c, o)",
        "c: bool[L, L] = less_equal(j, row)\nf: i64[L, L] = cast(c, dtype=i64)\nm: bool[L, L] = cast(f, dtype=bool)",
    ],
)
def test_causal_in_other_words(body):
    assert is_causal(attention("m", body=body))


ADDITIVE = [
    "c: bool[L, L] = less_equal(j, row)\nm: f32[L, L] = where(c, 0.0, -3.4028234663852886e+38)",
    "c: bool[L, L] = less(row, j)\nz: f32[L, L] = full(shape=(L, L), value=0.0, dtype=f32)\nm: f32[L, L] = where(c, -1e+30, z)",
    "o: f32[L, L] = full(shape=(L, L), value=-3.4028234663852886e+38, dtype=f32)\nm: f32[L, L] = triu(o, offset=1)",
    # finfo.min twice is -inf: hidden all the same
    "o: f32[L, L] = full(shape=(L, L), value=-3.4028234663852886e+38, dtype=f32)\nt: f32[L, L] = triu(o, offset=1)\nm: f32[L, L] = add(t, t)",
    "c: bool[L, L] = less(row, j)\nf: f32[L, L] = cast(c, dtype=f32)\nm: f32[L, L] = multiply(f, -1e+30)",
]


@pytest.mark.parametrize("body", ADDITIVE)
def test_causal_as_numbers_to_add(body):
    assert is_causal(attention("m", body=body, kind="f32"))


@pytest.mark.parametrize("low", ["-1.0", "-10000.0", "1e+30"])
def test_numbers_that_do_not_hide_are_a_bias(low):
    text = attention("m", body=ADDITIVE[0].replace("-3.4028234663852886e+38", low), kind="f32")
    assert refusals(text, "prove_masks") == ["the mask is a bias, not a choice of keys"]


def test_a_bias_stays():
    body = "m: f32[1, 2, L, L] = matmul(k, param_t)"
    text = attention("m", body=body, kind="f32").replace(
        body,
        "t: f32[B, 2, 4, L] = transpose(k, axes=(0, 1, 3, 2))\n        m: f32[B, 2, L, L] = matmul(k, t)",
    )
    assert refusals(text, "prove_masks") == ["the mask is a bias, not a choice of keys"]


# ---- lengths


def test_torch_is_causal_is_aligned_to_the_upper_left():
    text = attention("m", keys="T", body="m: bool[L, T] = less_equal(j, row)")
    assert refusals(text, "prove_masks") == [
        "the mask is aligned to the upper left: L queries, T keys"
    ]
    assert "less_equal" in after(text)


def test_aligned_to_the_lower_right():
    text = attention(
        "m", keys="L + 3", body="s: i64[L, 1] = add(row, 3)\nm: bool[L, L + 3] = less_equal(j, s)"
    )
    assert is_causal(text)


def test_causal_where_some_query_may_see_no_key_is_refused():
    body = "a: i64[L, 1] = add(row, T)\ns: i64[L, 1] = subtract(a, L)\nm: bool[L, T] = less_equal(j, s)"
    assert refusals(attention("m", keys="T", body=body), "prove_masks") == [
        "L queries may be more than T keys: some would see none"
    ]


def test_one_query_sees_all_keys_that_there_are():
    text = attention("m", body="m: bool[L, L] = less_equal(j, row)").replace("L", "1")
    assert "attention(q, k, k, None, scale=0.5, by=['full_mask'])" in after(text)


# ---- what is no causal mask


def test_a_full_mask_goes():
    text = attention("m", body="m: bool[L, 1] = greater_equal(row, 0)")
    found = after(text)
    assert (
        "attention(q, k, k, None, scale=0.5" in found
        and "arange" not in found
        and "empty" not in found
    )


def test_a_mask_of_zeros_to_add_goes():
    body = "m: f32[L, L] = full(shape=(L, L), value=0.0, dtype=f32)"
    assert "attention(q, k, k, None" in after(attention("m", body=body, kind="f32"))


def test_a_window_is_one_chain_of_comparisons():
    body = """
    c: bool[L, L] = less_equal(j, row)
    s: i64[L, 1] = subtract(row, 3)
    w: bool[L, L] = greater(j, s)
    b: bool[L, L] = bitwise_and(c, w)
    o: bool[L, 1] = greater_equal(row, 0)
    n: bool[L, L] = bitwise_and(b, o)
    m: bool[1, 1, L, L] = expand_dims(n, axes=(0, 1))
    """
    assert refusals(attention("m", body=body), "prove_masks") == ["the mask is a window of 3 keys"]
    becomes(
        attention("m", body=body),
        """
        def forward(q: f32[B, 2, L, 4], k: f32[B, 2, L, 4], pad: bool[B, L]):
            arange: i64[L] = arange(stop=L, dtype=i64, by=["short_mask"])
            rows: i64[L, 1] = expand_dims(arange, axes=(1,), by=["short_mask"])
            less_equal: bool[L, L] = less_equal(arange, rows, by=["short_mask"])
            subtract: i64[L, 1] = subtract(rows, 3, by=["short_mask"])
            greater: bool[L, L] = greater(arange, subtract, by=["short_mask"])
            m: bool[L, L] = bitwise_and(less_equal, greater, by=["short_mask"])
            y: f32[B, 2, L, 4] = attention(q, k, k, m, scale=0.5)
            return y
        """,
        "prove_mask_rows",
        "prove_masks",
        "cleanup",
    )


def test_blocks():
    body = """
    a: i64[L, 1] = floor_divide(row, 4)
    b: i64[L] = floor_divide(j, 4)
    m: bool[L, L] = equal(a, b)
    """
    assert refusals(attention("m", body=body), "prove_masks") == ["the mask is blocks of 4 keys"]


def test_padding_keeps_its_data_alone():
    body = """
    o: bool[L, 1] = greater_equal(row, 0)
    g: bool[B, 1, 1, L] = expand_dims(pad, axes=(1, 2))
    m: bool[B, 1, L, L] = bitwise_and(o, g)
    """
    text = attention("m", body=body)
    assert refusals(text, "prove_masks") == ["the mask depends on data"]
    found = applied(text, "prove_masks", "cleanup")[0]
    assert "arange" not in found and "m: bool[B, 1, 1, L] = expand_dims(pad, axes=(1, 2)" in found


def test_causal_with_padding_stays_one_mask():
    body = """
    c: bool[L, L] = less_equal(j, row)
    o: bool[L, 1] = greater_equal(row, 0)
    d: bool[L, L] = bitwise_and(c, o)
    g: bool[B, 1, 1, L] = expand_dims(pad, axes=(1, 2))
    m: bool[B, 1, L, L] = bitwise_and(d, g)
    """
    text = attention("m", body=body)
    assert refusals(text, "prove_masks") == ["the mask depends on data (causal)"]
    found = after(text)
    assert "greater_equal" not in found and "less_equal" in found and "bitwise_and" in found


def test_a_mask_that_scores_add_is_written_short_too():
    text = """
    def forward(s: f32[B, 2, L, L]):
        i: i64[L] = arange(stop=L, dtype=i64)
        p: i64[B, L] = broadcast_to(i, shape=(B, L))
        q: i64[B, 1, L, 1] = expand_dims(p, axes=(1, 3))
        k: i64[B, 1, 1, L] = expand_dims(p, axes=(1, 2))
        c: bool[B, 1, L, L] = less_equal(k, q)
        m: f32[B, 1, L, L] = where(c, 0.0, -1e+30)
        y: f32[B, 2, L, L] = add(s, m)
        return y
    """
    becomes(
        text,
        """
        def forward(s: f32[B, 2, L, L]):
            arange: i64[L] = arange(stop=L, dtype=i64, by=["short_mask"])
            rows: i64[L, 1] = expand_dims(arange, axes=(1,), by=["short_mask"])
            less_equal: bool[L, L] = less_equal(arange, rows, by=["short_mask"])
            m: f32[L, L] = where(less_equal, 0.0, -1e+30, by=["short_mask"])
            y: f32[B, 2, L, L] = add(s, m)
            return y
        """,
        "prove_masks",
        "cleanup",
    )


def test_short_code_stays_as_it_is():
    body = "g: bool[B, 1, 1, L] = expand_dims(pad, axes=(1, 2))\nc: bool[L, L] = less_equal(j, row)\nm: bool[B, 1, L, L] = bitwise_and(c, g)"
    assert "short_mask" not in after(
        attention("m", body=body).replace("less_equal(j, ", "less_equal(i, ")
    )


# ---- kinds


@pytest.mark.parametrize(
    "mask,keys,expected",
    [
        ("less_equal(j, row)", "L", Proof("causal")),
        ("less_equal(j, row)", "T", Proof("upper_left")),
        ("greater_equal(j, 0)", "T", Proof("all")),
        ("greater(j, row)", "T", Proof("other")),
    ],
)
def test_kinds(mask, keys, expected):
    shape = f"[{keys}]" if "0" in mask else f"[L, {keys}]"
    graph = graph_of(attention("m", keys, f"m: bool{shape} = {mask}"))
    node = graph.nodes[-1]
    assert classify(visible_keys(Analysis(), node), scores(node)) == expected


def test_a_mask_beside_causal_is_malformed():
    text = attention("m", body=CAUSAL).replace("empty_rows=True", "causal='lower_right'")
    with pytest.raises(VerifyError, match="not both"):
        graph_of(text)


# ---- numbers


WINDOWED = (
    "c: bool[L, L] = less_equal(j, row)\ns: i64[L, 1] = subtract(row, 3)\n"
    "w: bool[L, L] = greater(j, s)\nm: bool[L, L] = bitwise_and(c, w)"
)
SAME_NUMBERS = {
    "causal": attention("m", body=CAUSAL),
    "lower_right": attention(
        "m", keys="L + 3", body="s: i64[L, 1] = add(row, 3)\nm: bool[L, L + 3] = less_equal(j, s)"
    ),
    "upper_left": attention("m", keys="T", body="m: bool[L, T] = less_equal(j, row)"),
    "window": attention("m", body=WINDOWED),
    "additive": attention("m", body=ADDITIVE[3], kind="f32"),
    "padded": attention(
        "m",
        body="c: bool[L, L] = less_equal(j, row)\ng: bool[B, 1, 1, L] = expand_dims(pad, axes=(1, 2))\n"
        "m: bool[B, 1, L, L] = bitwise_and(c, g)",
    ),
}


@pytest.mark.parametrize(
    "sizes", [{"B": 1, "L": 1, "T": 1}, {"L": 1, "T": 7}, {"L": 6, "T": 2}, {"L": 9, "T": 9}]
)
@pytest.mark.parametrize("name", SAME_NUMBERS)
def test_numbers_stay_at_any_lengths(name, sizes):
    graph = graph_of(SAME_NUMBERS[name])
    case = random_case(graph, sizes)
    before = interpret(graph, *case)
    run(graph, passes=("prove_masks",), verify_each=True)
    np.testing.assert_allclose(before, interpret(graph, *case), rtol=1e-6, atol=1e-6)
