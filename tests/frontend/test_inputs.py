"""Input descriptions of the command line."""

import pytest

from mlx_transpile.errors import BadRequest
from mlx_transpile.frontend.inputs import InputSpec, parse_input, parse_inputs
from mlx_transpile.ir import DType

GOOD = [
    ("ids=batch,seq:int64", InputSpec("ids", ("batch", "seq"), DType.i64)),
    ("x=1,3,224,224", InputSpec("x", (1, 3, 224, 224), DType.f32)),
    ("x = B , 3 : torch.bfloat16", InputSpec("x", ("B", 3), DType.bf16)),
    ("mask=B,L:bool", InputSpec("mask", ("B", "L"), DType.bool)),
    ("t=:i32", InputSpec("t", (), DType.i32)),
    ("t=4,", InputSpec("t", (4,), DType.f32)),
    ("x=B,3,4*h,2*w-1", InputSpec("x", ("B", 3, "4*h", "2*w-1"), DType.f32)),
    ("x=8 * frames,h + 1", InputSpec("x", ("8*frames", "h+1"), DType.f32)),
    ("h=2,B,24:half", InputSpec("h", (2, "B", 24), DType.f16)),
]
BAD = [
    ("ids", "does not describe an input"),
    ("=3", "does not describe an input"),
    ("ids=3:int65", "unknown dtype 'int65'"),
    ("ids=-1,3", "'-1'"),
    ("ids=0,3", "a dim is 0"),
    ("ids=a b,3", "'a b'"),
    ("ids=3,,4", "''"),
    ("x=4*3", "'4\\*3'"),
    ("x=h*4", "'h\\*4'"),
    ("x=0*h", "the least size of '0\\*h'"),
    ("x=2*h-2", "the least size of '2\\*h-2' in 'x=2\\*h-2' is 0"),
]


@pytest.mark.parametrize("text, spec", GOOD)
def test_an_input_is_read(text, spec):
    assert parse_input(text) == spec
    assert parse_input(str(spec)) == spec


@pytest.mark.parametrize("text, message", BAD)
def test_a_bad_input_is_refused_with_what_is_wrong(text, message):
    with pytest.raises(BadRequest, match=message):
        parse_input(text)


def test_a_name_is_given_once():
    with pytest.raises(BadRequest, match="described twice"):
        parse_inputs(["x=3", "x=4"])
