"""What stays float32: parameters that only the angles of rotary embeddings read."""

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
