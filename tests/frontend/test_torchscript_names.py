"""Names that saved graphs give their values, and source lines."""

import pytest

from mlx_transpile.frontend.plan import hint, source_line


@pytest.mark.parametrize(
    ("name", "others", "expected"),
    [
        ("q.1", {"q"}, "q"),
        ("q0.1", {"q", "q0"}, "q"),
        ("x10", {"x1", "x10"}, "x1"),
        ("x10", {"x", "x1", "x10"}, "x"),
        ("x1.7", {"x1", "x2"}, "x1"),
        ("hidden_states4.1", {"hidden_states", "hidden_states4"}, "hidden_states"),
        ("conv2d", {"conv2d"}, "conv2d"),
        ("layer_12", {"layer_12"}, "layer_12"),
        ("37", {"37"}, ""),
        ("_4", {"_4"}, ""),
        ("argument_3.1", {"argument_3"}, ""),
        ("a-b", {"a-b"}, ""),
    ],
)
def test_hints(name, others, expected):
    assert hint(name, others) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a/b/modeling_llama.py(301): forward\n/a/c.py(5): call", "modeling_llama.py:301"),
        ('  File "/a/b/model.py", line 7\n    def forward', "model.py:7"),
        ('Serialized   File "code/__torch__.py", line 38\n', ""),
        ("", ""),
    ],
)
def test_source_lines(text, expected):
    assert source_line(text) == expected
