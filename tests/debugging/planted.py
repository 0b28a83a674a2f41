"""Bugs to plant in rewrites, and graphs on which they show."""

from dataclasses import replace

from mlx_transpile.passes import index_masks, raise_linear, raise_rms_norm

_NORM = """
        with module("layers.{i}.norm", "Norm"):
            s{i}: f32[B, L, 8] = square(h{i}, at="m.py:1")
            m{i}: f32[B, L, 1] = mean(s{i}, axes=(2,), keepdims=True, at="m.py:1")
            e{i}: f32[B, L, 1] = add(m{i}, 1e-06, at="m.py:2")
            r{i}: f32[B, L, 1] = rsqrt(e{i}, at="m.py:2")
            n{i}: f32[B, L, 8] = multiply(h{i}, r{i}, at="m.py:2")
            w{i}: f32[B, L, 8] = multiply(n{i}, param("layers.{i}.norm.weight", f32[8]), at="m.py:3")
        t{i}: f32[8, 8] = transpose(param("layers.{i}.proj.weight", f32[8, 8]), axes=(1, 0), at="m.py:8")
        p{i}: f32[B, L, 8] = matmul(w{i}, t{i}, at="m.py:8")
        g{i}: f32[B, L, 8] = silu(p{i}, at="m.py:9")
        h{j}: f32[B, L, 8] = add(h{i}, g{i}, at="m.py:9")"""


def layers(count: int) -> str:
    """Norms spelled out and products with transposed weights, in layers."""
    body = "".join(
        f'\n    with module("layers.{i}", "Layer"):{_NORM.format(i=i, j=i + 1)}'
        for i in range(count)
    )
    head = '@graph("Net")\ndef forward(ids: i64[B, L]):\n    h0: f32[B, L, 8] = embedding(param("embed.weight", f32[11, 8]), ids)'
    return f"{head}{body}\n    return {{'out': h{count}}}\n"


# The first query of L sees one key of L + T: upper left.
MASKED = """
@graph("Masked")
def forward(q: f32[B, 2, L, 4], k: f32[B, 2, L + T, 4], past: f32[B, 2, T, 4]):
    rows: i64[L] = arange(stop=L, dtype=i64)
    row: i64[L, 1] = expand_dims(rows, axes=(1,))
    columns: i64[L + T] = arange(stop=L + T, dtype=i64)
    column: i64[1, L + T] = expand_dims(columns, axes=(0,))
    seen: bool[L, L + T] = less_equal(column, row)
    mask: bool[1, 1, L, L + T] = expand_dims(seen, axes=(0, 1))
    with module("attention", "Attention"):
        y: f32[B, 2, L, 4] = attention(q, k, k, mask, scale=0.5, at="m.py:31")
    return y
"""


def wrong_eps(monkeypatch):
    """rms_norm with an epsilon of 1e-5 whatever the model says."""

    def build(out, match, like):
        return out.emit("rms_norm", match["x"], None, like=like, eps=1e-5)

    rows = [replace(r, build=build) if r.name == "rms_norm" else r for r in raise_rms_norm.ROWS]
    monkeypatch.setattr(raise_rms_norm, "ROWS", rows)


def wrong_corner(monkeypatch):
    """Masks aligned to the upper left count as those that MLX calls causal."""
    monkeypatch.setattr(index_masks, "causal_formula", index_masks.upper_left)


def wrong_side(monkeypatch):
    """x @ W.T becomes a linear whose weight is transposed once more."""

    def build(out, match, like):
        turned = out.emit("transpose", match["weight"], like=like, axes=(1, 0))
        return out.emit("linear", match["x"], turned, None, like=like)

    monkeypatch.setattr(raise_linear, "_build_transposed", build)
