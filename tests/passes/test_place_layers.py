"""Packed layers that a tool left without a module and a name get both."""

from pass_tools import becomes, unchanged


def weight(name: str, out: int, width: int) -> str:
    source = f"read('{name}_Q4'), read('{name}_s'), number(8.0), 4, 0, ({out}, 1), 1, 0"
    return f'param("{name}", f32[{out}, {width}], recipe=dequantize({source}))'


def moved(name: str, to: str, out: int, width: int) -> str:
    return weight(name, out, width).replace(f'param("{name}"', f'param("{to}.weight"')


GATED = f"""
def forward(x: f32[B, L, 8]):
    with module("mlp", "MLP"):
        gate: f32[B, L, 16] = linear(x, {weight("mlp.weight", 16, 8)}, None)
        with module("mlp.act", "SiLU"):
            y: f32[B, L, 16] = silu(gate)
        up: f32[B, L, 16] = linear(x, {weight("mlp.second_weight", 16, 8)}, None)
        z: f32[B, L, 16] = multiply(y, up)
        down: f32[B, L, 8] = linear(z, {weight("mlp.third_weight", 8, 16)}, None)
        h: f32[B, L, 8] = negative(down)
    return h
"""


def test_layers_are_named_by_their_roles() -> None:
    becomes(
        GATED,
        f"""
        def forward(x: f32[B, L, 8]):
            with module("mlp", "MLP"):
                with module("mlp.gate_proj", "Linear"):
                    gate: f32[B, L, 16] = linear(x, {moved("mlp.weight", "mlp.gate_proj", 16, 8)}, None)
                with module("mlp.act", "SiLU"):
                    y: f32[B, L, 16] = silu(gate)
                with module("mlp.up_proj", "Linear"):
                    up: f32[B, L, 16] = linear(x, {moved("mlp.second_weight", "mlp.up_proj", 16, 8)}, None)
                z: f32[B, L, 16] = multiply(y, up)
                with module("mlp.down_proj", "Linear"):
                    down: f32[B, L, 8] = linear(z, {moved("mlp.third_weight", "mlp.down_proj", 8, 16)}, None)
                h: f32[B, L, 8] = negative(down)
            return h
        """,
        "place_layers",
    )


def test_layers_without_a_role_are_numbered() -> None:
    text = """
    def forward(x: f32[B, 8]):
        with module("m", "Mixer"):
            a: f32[B, 8] = linear(x, {}, None)
            b: f32[B, 8] = tanh(a)
            c: f32[B, 8] = linear(b, {}, None)
            d: f32[B, 8] = tanh(c)
        return d
    """
    names = ("m.weight", "m.second_weight")
    becomes(
        text.format(*(weight(name, 8, 8) for name in names)),
        """
        def forward(x: f32[B, 8]):
            with module("m", "Mixer"):
                with module("m.linear1", "Linear"):
                    a: f32[B, 8] = linear(x, {}, None)
                b: f32[B, 8] = tanh(a)
                with module("m.linear2", "Linear"):
                    c: f32[B, 8] = linear(b, {}, None)
                d: f32[B, 8] = tanh(c)
            return d
        """.format(*(moved(name, f"m.linear{i}", 8, 8) for i, name in enumerate(names, 1))),
        "place_layers",
    )


def test_a_layer_that_has_a_module_stays() -> None:
    unchanged(
        f"""
        def forward(x: f32[B, 8]):
            with module("fc", "Linear"):
                a: f32[B, 8] = linear(x, {weight("fc.weight", 8, 8)}, None)
            b: f32[B, 8] = tanh(a)
            return b
        """,
        "place_layers",
    )


def test_weights_that_are_floats_stay() -> None:
    unchanged(
        """
        def forward(x: f32[B, 8]):
            with module("m", "Mixer"):
                a: f32[B, 8] = linear(x, param("m.weight", f32[8, 8]), None)
                b: f32[B, 8] = tanh(a)
            return b
        """,
        "place_layers",
    )


def test_a_weight_with_two_readers_stays() -> None:
    unchanged(
        f"""
        def forward(x: f32[B, 8]):
            with module("m", "Mixer"):
                a: f32[B, 8] = linear(x, {weight("m.weight", 8, 8)}, None)
                b: f32[B, 8] = linear(a, {weight("m.weight", 8, 8)}, None)
            return b
        """,
        "place_layers",
    )
