"""Activations spelled out: each formula becomes its op; one wrong number and it stays."""

import pytest
from pass_tools import applied, refusals

X = "f32[B, 8]"
FORMULAS = {
    "silu(x": "s = sigmoid(x); y = multiply(s, x)",
    "silu(x,": "n = negative(x); e = exp(n); o = add(e, 1.0); y = divide(x, o)",
    "sigmoid(x": "n = negative(x); e = exp(n); o = add(1.0, e); y = reciprocal(o)",
    "sigmoid(x,": "n = negative(x); e = exp(n); o = add(1.0, e); y = divide(1.0, o)",
    "gelu(x, approximate='sigmoid'": "a = multiply(x, 1.702); s = sigmoid(a); y = multiply(x, s)",
    "relu(x": "y = maximum(x, 0.0)",
    "log_sigmoid(x": "s = sigmoid(x); y = log(s)",
    "softplus(x": "e = exp(x); o = add(e, 1.0); y = log(o)",
    "softplus(x,": "e = exp(x); y = log1p(e)",
    "softplus(x, by=": "r = maximum(x, 0.0); a = abs(x); n = negative(a); e = exp(n); l = log1p(e); y = add(r, l)",
    "mish(x": "p = softplus(x); t = tanh(p); y = multiply(x, t)",
    "hardsigmoid(x": "a = add(x, 3.0); c = clip(a, 0.0, 6.0); y = divide(c, 6.0)",
    "hardswish(x": "a = add(x, 3.0); c = clip(a, 0.0, 6.0); m = multiply(x, c); y = divide(m, 6.0)",
    "hardswish(x,": "h = hardsigmoid(x); y = multiply(x, h)",
    "log_softmax(x, axis=1": "s = softmax(x, axis=1); y = log(s)",
}


def text_of(formula: str) -> str:
    lines = [line.split(" = ") for line in formula.split("; ")]
    body = "\n".join(f"    {name}: {X} = {call}" for name, call in lines)
    return f"def forward(x: {X}):\n{body}\n    return y\n"


@pytest.mark.parametrize(("raised", "formula"), FORMULAS.items())
def test_formula(raised, formula):
    found, _ = applied(text_of(formula), "raise_activations")
    assert raised.rstrip(",") in found and found.count(" = ") == 1, found


REDUCED = """
def forward(x: f32[B, 8]):
    m: f32[B, 1] = max(x, axes=(1,), keepdims=True)
    d: f32[B, 8] = subtract(x, m)
    e: f32[B, 8] = exp(d)
    s: f32[B, 1] = sum(e, axes=(1,), keepdims=True)
    y: f32[B, 8] = divide(e, s)
    return y
"""


def test_softmax_by_exponentials():
    assert "y: f32[B, 8] = softmax(x, axis=1, by=" in applied(REDUCED, "raise_activations")[0]


def test_log_softmax_by_exponentials():
    text = REDUCED.replace(
        "y: f32[B, 8] = divide(e, s)",
        "l: f32[B, 1] = log(s)\n    y: f32[B, 8] = subtract(d, l)",
    )
    assert "y: f32[B, 8] = log_softmax(x, axis=1, by=" in applied(text, "raise_activations")[0]
    text = text.replace("s: f32[B, 1] = sum(e, axes=(1,)", "s: f32[1, 8] = sum(e, axes=(0,)")
    text = text.replace("l: f32[B, 1]", "l: f32[1, 8]")
    assert refusals(text, "raise_activations") == ["it is not over one axis"]


def test_softmax_of_another_maximum_is_refused():
    text = REDUCED.replace("m: f32[B, 1] = max(x, axes=(1,)", "m: f32[1, 8] = max(x, axes=(0,)")
    assert refusals(text, "raise_activations") == ["it is not over one axis"]


def test_log_softmax_by_logsumexp():
    text = """
    def forward(x: f32[B, 8]):
        s: f32[B, 1] = logsumexp(x, axes=(1,), keepdims=True)
        y: f32[B, 8] = subtract(x, s)
        return y
    """
    assert "log_softmax(x, axis=1" in applied(text, "raise_activations")[0]
    assert refusals(
        text.replace("[B, 1]", "[1, 1]").replace("axes=(1,)", "axes=(0, 1)"), "raise_activations"
    ) == ["it is not over one axis"]


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("a = multiply(x, 1.7); s = sigmoid(a); y = multiply(x, s)", "1.7 stands where 1.702 should"),
        ("y = maximum(x, 1.0)", "1.0 stands where 0 should"),
        ("e = exp(x); o = add(e, 2.0); y = log(o)", "2.0 stands where 1 should"),
        ("a = add(x, 2.0); c = clip(a, 0.0, 6.0); y = divide(c, 6.0)", "2.0 stands where 3 should"),
    ],
)  # fmt: skip
def test_another_number_is_refused(formula, reason):
    assert reason in refusals(text_of(formula), "raise_activations")


def test_a_gate_that_is_used_elsewhere_is_refused():
    text = text_of("s = sigmoid(x); y = multiply(s, x)").replace("return y", "return y, s")
    assert set(refusals(text, "raise_activations")) == {"the result of sigmoid is used elsewhere"}


def test_an_activation_of_integers_is_refused():
    text = text_of("y = maximum(x, 0)").replace("f32", "i32")
    assert refusals(text, "raise_activations") == ["its operand is no floating point tensor"]


GLU = """
def forward(x: f32[B, 8]):
    a, b = split(x, sizes=(4, 4), axis=1, types=[f32[B, 4], f32[B, 4]])
    s: f32[B, 4] = sigmoid(b)
    y: f32[B, 4] = multiply(a, s)
    return y
"""


def test_glu():
    assert "y: f32[B, 4] = glu(x, axis=1, by=" in applied(GLU, "raise_activations")[0]


def test_a_gate_of_the_first_half_is_refused():
    text = GLU.replace("sigmoid(b)", "sigmoid(a)").replace("multiply(a", "multiply(b")
    assert refusals(text, "raise_activations") == [
        "value and gate are not the first and the second half"
    ]
