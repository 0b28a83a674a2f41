"""What is made of a module's weights and read by the module alone is computed in it."""

from pass_tools import becomes, unchanged

NORMED = """
def forward(x: f32[B, L, 8]):
    weight: f32[8, 8] = multiply(param("conv.v", f32[8, 8]), param("conv.g", f32[8, 1]))
    n: f32[B, L, 8] = negative(x)
    with module("conv", "Conv1d"):
        y: f32[B, L, 8] = matmul(n, weight)
    return y
"""


def test_a_weight_that_the_caller_computes():
    becomes(
        NORMED,
        """
        def forward(x: f32[B, L, 8]):
            n: f32[B, L, 8] = negative(x)
            with module("conv", "Conv1d"):
                weight: f32[8, 8] = multiply(param("conv.v", f32[8, 8]), param("conv.g", f32[8, 1]))
                y: f32[B, L, 8] = matmul(n, weight)
            return y
        """,
        "own_weights",
    )


def test_two_calls_compute_it_each():
    becomes(
        NORMED.replace(
            "    return y",
            """    with module("conv", "Conv1d", call=1):
        z: f32[B, L, 8] = matmul(y, weight)
    return z""",
        ),
        """
        def forward(x: f32[B, L, 8]):
            n: f32[B, L, 8] = negative(x)
            with module("conv", "Conv1d"):
                weight: f32[8, 8] = multiply(param("conv.v", f32[8, 8]), param("conv.g", f32[8, 1]))
                y: f32[B, L, 8] = matmul(n, weight)
            with module("conv", "Conv1d", call=1):
                weight__2: f32[8, 8] = multiply(param("conv.v", f32[8, 8]), param("conv.g", f32[8, 1]))
                z: f32[B, L, 8] = matmul(y, weight__2)
            return z
        """,
        "own_weights",
    )


def test_what_the_caller_reads_too_stays():
    unchanged(
        NORMED.replace("    return y", "    z: f32[8, 8] = negative(weight)\n    return y, z"),
        "own_weights",
    )


def test_weights_of_another_module_stay():
    unchanged(NORMED.replace('"conv.g"', '"scale.g"'), "own_weights")
