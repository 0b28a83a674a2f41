"""Layout: transposes of a channels-first network meet and cancel; others stay where their author put them."""

from pass_tools import applied, becomes, unchanged

HEAD = "def forward(x: f32[B, 3, 8, W]):\n"


def conv(
    name: str, x: str, inputs: int, outputs: int, size: str = "8, W", cls: str = "Conv2d"
) -> str:
    """A convolution of width 1 as frontends emit it (a linear layer over the last axis stands in for it)."""
    return f"""
    with module("{name}", "{cls}"):
        {name}_t: f32[B, {size}, {inputs}] = transpose({x}, axes=(0, 2, 3, 1))
        {name}_c: f32[B, {size}, {outputs}] = linear({name}_t, param("{name}.weight", f32[{outputs}, {inputs}]), None)
        {name}: f32[B, {outputs}, {size}] = transpose({name}_c, axes=(0, 3, 1, 2))"""


def test_transposes_between_layers_cancel():
    before = HEAD + conv("a", "x", 3, 4) + """
    r: f32[B, 4, 8, W] = relu(a)""" + conv("b", "r", 4, 4) + """
    s: f32[B, 4, 8, W] = add(b, r)
    u: f32[B, 4, 8, W] = relu(s)""" + conv("c", "u", 4, 6) + "\n    return c"  # fmt: skip
    becomes(
        before,
        """
        def forward(x: f32[B, 3, 8, W]):
            with module("a", "Conv2d"):
                a_t: f32[B, 8, W, 3] = transpose(x, axes=(0, 2, 3, 1))
                a_c: f32[B, 8, W, 4] = linear(a_t, param("a.weight", f32[4, 3]), None)
            r: f32[B, 8, W, 4] = relu(a_c)
            with module("b", "Conv2d"):
                b_c: f32[B, 8, W, 4] = linear(r, param("b.weight", f32[4, 4]), None)
            s: f32[B, 8, W, 4] = add(b_c, r)
            u: f32[B, 8, W, 4] = relu(s)
            with module("c", "Conv2d"):
                c_c: f32[B, 8, W, 6] = linear(u, param("c.weight", f32[6, 4]), None)
                c: f32[B, 6, 8, W] = transpose(c_c, axes=(0, 3, 1, 2))
            return c
        """,
        "sink_transposes",
    )


def count(text: str, *passes: str) -> int:
    return applied(text, *passes)[0].count("= transpose(")


def test_squeeze_and_excitation():
    before = HEAD + conv("a", "x", 3, 4) + """
    m: f32[B, 4, 1, 1] = mean(a, axes=(2, 3), keepdims=True)""" + conv("b", "m", 4, 2, "1, 1") + """
    r: f32[B, 2, 1, 1] = relu(b)""" + conv("c", "r", 2, 4, "1, 1") + """
    g: f32[B, 4, 1, 1] = sigmoid(c)
    s: f32[B, 4, 8, W] = multiply(g, a)""" + conv("d", "s", 4, 2) + "\n    return d"  # fmt: skip
    text, _ = applied(before)
    assert text.count("= transpose(") == 2
    assert "mean(a_c, axes=(1, 2), keepdims=True)" in text and "reshape" not in text


def test_flatten_after_pooling_is_a_squeeze():
    before = (
        HEAD
        + conv("a", "x", 3, 4)
        + """
    r: f32[B, 4, 8, W] = relu(a)"""
        + conv("b", "r", 4, 4)
        + """
    m: f32[B, 4, 1, 1] = mean(b, axes=(2, 3), keepdims=True)
    f: f32[B, 4] = reshape(m, shape=(B, 4))
    y: f32[B, 2] = linear(f, param("w", f32[2, 4]), None)
    return y"""
    )
    text, _ = applied(before)
    assert text.count("= transpose(") == 1
    assert "f: f32[B, 4] = mean(b_c, axes=(1, 2))" in text


def test_flatten_of_patches():
    before = (
        HEAD
        + conv("a", "x", 3, 4)
        + """
    f: f32[B, 4, 8*W] = reshape(a, shape=(B, 4, 8*W))
    y: f32[B, 8*W, 4] = transpose(f, axes=(0, 2, 1))
    return y"""
    )
    text, _ = applied(before)
    assert text.count("= transpose(") == 1
    assert "f: f32[B, 8*W, 4] = reshape(a_c, shape=(B, 8*W, 4), free=1)" in text


def test_concatenation_split_pad_slice_softmax():
    before = HEAD + conv("a", "x", 3, 4) + """
    p, q = split(a, sizes=(1, 3), axis=1, types=[f32[B, 1, 8, W], f32[B, 3, 8, W]])
    c: f32[B, 4, 8, W] = concatenate(q, p, axis=1)
    d: f32[B, 4, 10, W] = pad(c, low=(0, 0, 1, 0), high=(0, 0, 1, 0))
    e: f32[B, 4, 8, W] = slice(d, axis=2, start=1, stop=9)
    s: f32[B, 4, 8, W] = softmax(e, axis=1)""" + conv("b", "s", 4, 2) + "\n    return b"  # fmt: skip
    text, _ = applied(before)
    assert text.count("= transpose(") == 2
    assert "softmax(e, axis=3)" in text and "concatenate(q, p, axis=3)" in text


def test_parameters_follow():
    before = HEAD + conv("a", "x", 3, 4) + """
    g: f32[B, 4, 8, W] = multiply(a, param("gamma", f32[4, 1, 1]))
    h: f32[B, 4, 8, W] = add(g, param("beta", f32[1, 4, 8, 1]))""" + conv("b", "h", 4, 2) + "\n    return b"  # fmt: skip
    text, _ = applied(before)
    assert text.count("= transpose(") == 2
    assert "param('gamma', f32[4], recipe=reshape(read('gamma'), (4,)))" in text
    assert "param('beta', f32[1, 8, 1, 4], recipe=permute(read('beta'), (0, 2, 3, 1)))" in text


def test_channel_shuffle():
    before = HEAD + conv("a", "x", 3, 4) + """
    s: f32[B, 2, 2, 8, W] = reshape(a, shape=(B, 2, 2, 8, W))
    t: f32[B, 2, 2, 8, W] = transpose(s, axes=(0, 2, 1, 3, 4))
    u: f32[B, 4, 8, W] = reshape(t, shape=(B, 4, 8, W))""" + conv("b", "u", 4, 2) + "\n    return b"  # fmt: skip
    text, _ = applied(before)
    assert text.count("= transpose(") == 3
    assert "transpose(s, axes=(0, 1, 2, 4, 3))" in text


def test_heads_of_attention_stay():
    unchanged(
        """
        def forward(x: f32[B, L, 32], cos: f32[1, 1, L, 8]):
            q: f32[B, L, 4, 8] = reshape(x, shape=(B, L, 4, 8))
            t: f32[B, 4, L, 8] = transpose(q, axes=(0, 2, 1, 3))
            r: f32[B, 4, L, 8] = multiply(t, cos)
            a: f32[B, 4, L, 8] = attention(r, r, r, None, scale=1.0)
            o: f32[B, L, 4, 8] = transpose(a, axes=(0, 2, 1, 3))
            y: f32[B, L, 32] = reshape(o, shape=(B, L, 32))
            return y
        """,
        "sink_transposes",
    )


def test_one_transpose_that_meets_none_stays():
    unchanged(
        """
        def forward(x: f32[B, L, 32], z: f32[B, 32, L]):
            t: f32[B, 32, L] = transpose(x, axes=(0, 2, 1))
            e: f32[B, 32, L] = exp(t)
            y: f32[B, 32, L] = add(e, z)
            return y
        """,
        "sink_transposes",
    )


def test_flatten_with_space_keeps_its_transpose():
    before = (
        HEAD
        + conv("a", "x", 3, 4)
        + """
    r: f32[B, 4, 8, W] = relu(a)"""
        + conv("b", "r", 4, 4)
        + """
    f: f32[B, 32*W] = reshape(b, shape=(B, 32*W))
    return f"""
    )
    text, _ = applied(before)
    assert text.count("= transpose(") == 2


def test_transposes_at_the_border_of_a_layer_move_out():
    becomes(
        HEAD + conv("a", "x", 3, 4) + "\n    return a",
        """
        def forward(x: f32[B, 3, 8, W]):
            a_t: f32[B, 8, W, 3] = transpose(x, axes=(0, 2, 3, 1))
            with module("a", "Conv2d"):
                a_c: f32[B, 8, W, 4] = linear(a_t, param("a.weight", f32[4, 3]), None)
            a: f32[B, 4, 8, W] = transpose(a_c, axes=(0, 3, 1, 2))
            return a
        """,
        "border_transposes",
    )


MERGED = """
def forward(x: f32[B, L, 2, 4]):
    with module("c", "Conv1D"):
        h: f32[B, L, 8] = reshape(x, shape=(B, L, 8))
        y: f32[B, L, 6] = linear(h, param("c.weight", f32[6, 8]), None)
    return y
"""


def test_a_reshape_in_front_of_a_layer_moves_out():
    text, _ = applied(MERGED, "border_transposes")
    assert text.index("reshape(") < text.index("module(")


def test_a_reshape_of_the_weight_stays_with_the_layer():
    unchanged(
        MERGED.replace("linear(h, param(\"c.weight\", f32[6, 8])", "linear(h, w").replace(
            "        y:",
            "        w: f32[6, 8] = reshape(param(\"c.weight\", f32[6, 2, 4]), shape=(6, 8))\n        y:",
        ).replace("        h: f32[B, L, 8] = reshape(x, shape=(B, L, 8))\n", "").replace(
            "linear(h,", "linear(x,"
        ).replace("x: f32[B, L, 2, 4]", "x: f32[B, L, 8]"),
        "border_transposes",
    )  # fmt: skip


def test_transposes_of_a_module_with_more_in_it_stay():
    before = HEAD + conv("a", "x", 3, 4).replace("param(", "param(") + "\n    return a"
    unchanged(
        before.replace(
            "        a: f32", "        e: f32[B, 8, W, 4] = exp(a_c)\n        a: f32"
        ).replace("transpose(a_c", "transpose(e"),
        "border_transposes",
    )


def test_transposes_of_a_normalised_weight_go_to_its_parameters():
    text, _ = applied(
        """
        def forward(x: f32[B, L, 4]):
            w: f32[6, 4, 3] = weight_norm(param("v", f32[6, 4, 3]), param("g", f32[6, 1, 1]))
            t: f32[6, 3, 4] = transpose(w, axes=(0, 2, 1))
            y: f32[B, L - 2, 6] = conv(x, t, None, stride=(1,), padding=(0,), dilation=(1,))
            return y
        """.replace("[B, L - 2, 6]", "[B, L + 2, 6]").replace("padding=(0,)", "padding=(2,)")
    )
    assert "transpose(" not in text
    assert (
        "weight_norm(param('v', f32[6, 3, 4], recipe=permute(read('v'), (0, 2, 1))), param('g', f32[6, 1, 1]))"
        in text
    )


def test_a_normalised_weight_with_two_uses_stays():
    text, _ = applied(
        """
        def forward(x: f32[B, 4]):
            w: f32[6, 4] = weight_norm(param("v", f32[6, 4]), param("g", f32[6, 1]))
            t: f32[4, 6] = transpose(w, axes=(1, 0))
            y: f32[B, 6] = matmul(x, t)
            z: f32[B, 6] = linear(x, w, None)
            return y, z
        """,
        "hoist_weight_transposes",
    )
    assert "transpose(w" in text


def test_sequence_first_attention_becomes_batch_first():
    """torch's own multi-head attention, called with the batch first."""
    text, _ = applied(
        """
        def forward(x: f32[B, L, 8]):
            with module("attn", "MultiheadAttention"):
                q: f32[L, B, 8] = transpose(x, axes=(1, 0, 2))
                p: f32[L, B, 24] = linear(q, param("attn.in_proj_weight", f32[24, 8]), None)
                r: f32[L, B, 3, 8] = reshape(p, shape=(L, B, 3, 8))
                a: f32[L, B, 8] = select(r, axis=2, index=0)
                b: f32[L, B, 8] = select(r, axis=2, index=1)
                c: f32[L, B, 8] = select(r, axis=2, index=2)
                a1: f32[L, 2*B, 4] = reshape(a, shape=(L, 2*B, 4))
                a2: f32[2*B, L, 4] = transpose(a1, axes=(1, 0, 2))
                a3: f32[B, 2, L, 4] = reshape(a2, shape=(B, 2, L, 4))
                b1: f32[L, 2*B, 4] = reshape(b, shape=(L, 2*B, 4))
                b2: f32[2*B, L, 4] = transpose(b1, axes=(1, 0, 2))
                b3: f32[B, 2, L, 4] = reshape(b2, shape=(B, 2, L, 4))
                c1: f32[L, 2*B, 4] = reshape(c, shape=(L, 2*B, 4))
                c2: f32[2*B, L, 4] = transpose(c1, axes=(1, 0, 2))
                c3: f32[B, 2, L, 4] = reshape(c2, shape=(B, 2, L, 4))
                o: f32[B, 2, L, 4] = attention(a3, b3, c3, None, scale=0.5)
                t: f32[L, B, 2, 4] = transpose(o, axes=(2, 0, 1, 3))
                f: f32[B*L, 8] = reshape(t, shape=(B*L, 8))
                g: f32[B*L, 8] = linear(f, param("attn.out_proj.weight", f32[8, 8]), None)
                h: f32[L, B, 8] = reshape(g, shape=(L, B, 8))
                y: f32[B, L, 8] = transpose(h, axes=(1, 0, 2))
            z: f32[B, L, 8] = add(x, y)
            return z
        """
    )
    assert text.count("= transpose(") == 4 and text.count("axes=(0, 2, 1, 3)") == 4
    assert "2*B" not in text and "B*L" not in text


def test_layers_between_transposes_that_do_not_cancel_stay():
    unchanged(
        """
        def forward(x: f32[B, L, 8]):
            q: f32[L, B, 8] = transpose(x, axes=(1, 0, 2))
            y: f32[L, B, 8] = linear(q, param("w", f32[8, 8]), None)
            return y
        """,
        "sink_transposes",
    )


TWO = """
def forward(x: f32[B, 3, 8, W]):
    with module("a", "Block"):
        h: f32[B, 3, 8, W] = exp(x)
        g: f32[B, 3, 8, W] = negative(h)
    with module("b", "Block"):
        {0}: f32[B, 3, 8, W] = exp(g)
        {1}
    return t
"""


def test_what_leaves_one_of_two_alike_modules_moves_out():
    text, _ = applied(
        TWO.format(
            "u",
            "n: f32[B, 3, 8, W] = negative(u)\n"
            "        t: f32[B, 8, W, 3] = transpose(n, axes=(0, 2, 3, 1))",
        ),
        "border_transposes",
    )
    assert "\n    t: f32[B, 8, W, 3] = transpose(" in text


def test_what_leaves_both_stays():
    unchanged(
        """
        def forward(x: f32[B, 3, W]):
            with module("a", "Block"):
                h: f32[B, 3, W] = exp(x)
                n: f32[B, 3, W] = negative(h)
                s: f32[B, W, 3] = transpose(n, axes=(0, 2, 1))
            with module("b", "Block"):
                u: f32[B, W, 3] = exp(s)
                v: f32[B, W, 3] = negative(u)
                t: f32[B, 3, W] = transpose(v, axes=(0, 2, 1))
            return t
        """,
        "border_transposes",
    )


def test_what_feeds_one_of_two_alike_modules_moves_out():
    before = """
        def forward(x: f32[B, 3, W]):
            with module("a", "Block"):
                t: f32[B, W, 3] = transpose(x, axes=(0, 2, 1))
                h: f32[B, W, 3] = exp(t)
                g: f32[B, W, 3] = negative(h)
            with module("b", "Block"):
                u: f32[B, W, 3] = exp(g)
                v: f32[B, W, 3] = negative(u)
            return v
    """
    text, _ = applied(before, "border_transposes")
    assert text.index("transpose(") < text.index("module(")


def test_statistics_repeated_along_the_length_need_no_transpose():
    text, _ = applied(
        """
        def forward(x: f32[B, L, 3]):
            t: f32[B, 3, L] = transpose(x, axes=(0, 2, 1))
            m: f32[B, 3] = mean(t, axes=(2,), keepdims=False)
            e: f32[B, 3, 1] = expand_dims(m, axes=(2,))
            r: f32[B, 3, L] = tile(e, repeats=(1, 1, L))
            w: f32[B, 3, L] = broadcast_to(e, shape=(B, 3, L))
            c: f32[B, 9, L] = concatenate(t, r, w, axis=1)
            y: f32[B, L, 9] = transpose(c, axes=(0, 2, 1))
            z: f32[B, L, 9] = exp(y)
            return z
        """
    )
    assert "transpose(" not in text and "repeats=(1, L, 1)" in text


def test_views_around_a_split_are_one_view():
    text, _ = applied(
        """
        def forward(x: f32[B, L, 3], s: f32[B, 6]):
            h: f32[B, 6, 1] = expand_dims(s, axes=(2,))
            a, b = split(h, sizes=(3, 3), axis=1, types=[f32[B, 3, 1], f32[B, 3, 1]])
            c: f32[B, 3, 1] = add(a, 1.0)
            t: f32[B, 3, L] = transpose(x, axes=(0, 2, 1))
            m: f32[B, 3, L] = multiply(c, t)
            y: f32[B, 3, L] = add(m, b)
            z: f32[B, L, 3] = transpose(y, axes=(0, 2, 1))
            return z
        """
    )
    assert "split(s, sizes=(3, 3), axis=1" in text and text.count("expand_dims(") == 2
    assert "reshape(" not in text and "transpose(" not in text
