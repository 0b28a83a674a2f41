"""What stays float32: angles of rotary embeddings, windows, filters of spectra."""

from pass_tools import graph_of

from mlx_transpile.codegen.precision import precise_parameters

TEXT = """
def forward(x: f32[B, 2, L, 8]):
    freqs: f32[4] = divide(1.0, param("inv_freq", f32[4]))
    turned: f32[B, 2, L, 8] = rope(x, freqs, dims=8)
    y: f32[B, 2, L, 8] = multiply(turned, {})
    return y
"""


def test_angles_are_precise() -> None:
    graph = graph_of(TEXT.format('param("scale", f32[8])'))
    assert precise_parameters(graph) == {"inv_freq"}


def test_what_others_read_too_is_not() -> None:
    body = TEXT.replace("    y:", '    z: f32[4] = exp(param("inv_freq", f32[4]))\n    y:')
    body = body.replace("return y", "return y, z")
    assert precise_parameters(graph_of(body.format('param("scale", f32[8])'))) == set()


# ---- spectra

SPECTRUM = """
def forward(x: f32[B, 64]):
    w: f32[16] = multiply(param("window", f32[16], buffer=True), 0.5)
    s: c64[B, 9, 13] = stft(x, w, n_fft=16, hop_length=4, win_length=16, padding="none")
    m: f32[B, 9, 13] = modulus(s)
    t: f32[B, 13, 9] = transpose(m, axes=(0, 2, 1))
    f: f32[B, 13, 4] = matmul(t, param("filters", f32[9, 4], buffer=True))
    l: f32[B, 13, 4] = log(f)
    n: f32[B, 13, 4] = subtract(l, param("mean", f32[4], buffer=True))
    y: f32[B, 13, 5] = linear(n, param("proj.weight", f32[5, 4]), None)
    z: f32[B, 13, 5] = multiply(y, param("table", f32[5], buffer=True))
    return z
"""


def test_windows_and_filters_of_spectra_are_precise() -> None:
    assert precise_parameters(graph_of(SPECTRUM)) == {"window", "filters", "mean"}


def test_weights_in_front_of_a_transform_are_not() -> None:
    text = SPECTRUM.replace("stft(x, w", "stft(v, w").replace(
        "    w: f32",
        '    v: f32[B, 64] = linear(x, param("pre.weight", f32[64, 64]), None)\n    w: f32',
    )
    assert "pre.weight" not in precise_parameters(graph_of(text))


CONVOLUTIONS = """
def forward(x: f32[B, 64, 1]):
    a: f32[B, 13, 9] = conv(x, param("real.weight", f32[9, 16, 1]), None, stride=(4,), padding=(0,), dilation=(1,))
    b: f32[B, 13, 9] = conv({}, param("imag.weight", f32[9, 16, 1]), None, stride=(4,), padding=(0,), dilation=(1,))
    s: f32[B, 13, 9] = square(a)
    t: f32[B, 13, 9] = square(b)
    p: f32[B, 13, 9] = add(s, t)
    f: f32[B, 13, 4] = matmul(p, param("filters", f32[9, 4], buffer=True))
    return f
"""


def test_a_transform_by_two_convolutions_is_precise() -> None:
    precise = precise_parameters(graph_of(CONVOLUTIONS.format("x")))
    assert precise == {"real.weight", "imag.weight", "filters"}


def test_squares_of_two_tensors_are_no_transform() -> None:
    text = CONVOLUTIONS.format("z").replace(
        "(x: f32[B, 64, 1])", "(x: f32[B, 64, 1], z: f32[B, 64, 1])"
    )
    assert precise_parameters(graph_of(text)) == set()


def test_a_sum_with_a_value_that_is_made_of_nothing() -> None:
    text = """
    def forward(x: f32[B, 4]):
        a: f32[4] = full(shape=(4,), value=1.0, dtype=f32)
        y: f32[B, 4] = add(x, a)
        return y
    """
    assert precise_parameters(graph_of(text)) == set()
