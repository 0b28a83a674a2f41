"""What sibling modules share is computed around them; what belongs to a module stays in it."""

from pass_tools import becomes, unchanged

SHARED = """
def forward(x: f32[B, L, 8], keep: bool[B, L]):
    with module("layers.0", "Layer"):
        n: f32[B, L, 8] = negative(x)
        column: bool[B, L, 1] = expand_dims(keep, axes=(2,))
        bias: f32[B, L, 1] = where(column, 0.0, -1e+09)
        a: f32[B, L, 8] = add(n, bias)
    with module("layers.1", "Layer"):
        m: f32[B, L, 8] = negative(a)
        b: f32[B, L, 8] = add(m, bias)
    return b
"""


def test_a_mask_that_the_first_layer_computes():
    becomes(
        SHARED,
        """
        def forward(x: f32[B, L, 8], keep: bool[B, L]):
            column: bool[B, L, 1] = expand_dims(keep, axes=(2,))
            bias: f32[B, L, 1] = where(column, 0.0, -1e+09)
            with module("layers.0", "Layer"):
                n: f32[B, L, 8] = negative(x)
                a: f32[B, L, 8] = add(n, bias)
            with module("layers.1", "Layer"):
                m: f32[B, L, 8] = negative(a)
                b: f32[B, L, 8] = add(m, bias)
            return b
        """,
        "lift_shared",
    )


def test_a_result_of_a_module_stays():
    unchanged(
        SHARED.replace("a: f32[B, L, 8] = add(n, bias)", "a: f32[B, L, 8] = negative(n)"),
        "lift_shared",
    )


def test_what_only_the_caller_reads_too_stays():
    unchanged(
        """
        def forward(x: f32[B, L, 8]):
            with module("first", "Layer"):
                n: f32[B, L, 8] = negative(x)
                a: f32[B, L, 8] = add(n, 1.0)
            y: f32[B, L, 8] = add(a, n)
            return y
        """,
        "lift_shared",
    )


def test_what_weights_are_in_stays():
    unchanged(
        SHARED.replace(
            "where(column, 0.0, -1e+09)", 'where(column, 0.0, param("layers.0.fill", f32[1]))'
        ),
        "lift_shared",
    )


def test_what_reads_a_value_that_comes_later_stays():
    """A module that is entered again: its first part is before what its second part reads."""
    unchanged(
        """
        def forward(x: f32[B, L, 8]):
            with module("a", "Layer"):
                p: f32[B, L, 8] = negative(x)
            q: f32[B, L, 8] = add(p, 1.0)
            with module("a", "Layer"):
                r: f32[B, L, 8] = square(q)
                s: f32[B, L, 8] = add(r, 2.0)
            with module("b", "Layer"):
                t: f32[B, L, 8] = add(r, s)
            return t
        """,
        "lift_shared",
    )


def test_a_constant_is_made_in_every_module_that_reads_it():
    becomes(
        """
        def forward(x: f32[B, 8]):
            with module("a", "Layer"):
                c: f32[8] = full(shape=(8,), value=2.0, dtype=f32)
                h: f32[B, 8] = add(x, c)
            with module("b", "Layer"):
                y: f32[B, 8] = add(h, c)
            return y
        """,
        """
        def forward(x: f32[B, 8]):
            with module("a", "Layer"):
                c: f32[8] = full(shape=(8,), value=2.0, dtype=f32)
                h: f32[B, 8] = add(x, c)
            with module("b", "Layer"):
                c__2: f32[8] = full(shape=(8,), value=2.0, dtype=f32)
                y: f32[B, 8] = add(h, c__2)
            return y
        """,
        "lift_shared",
    )
