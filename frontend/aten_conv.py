"""ATen rows: convolution. The IR's ops are channels last; torch's tensors are channels first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ir import Builder, Value
from ..ir.dims import Expr, floordiv
from .aten_common import (
    Row,
    batched,
    permuted,
    reshaped,
    spread,
)


def _weight(b: Builder, weight: Value) -> Value:
    """[O, I / groups, *k] to [O, *k, I / groups]."""
    rank = weight.tensor.rank
    return permuted(b, weight, [0, *range(2, rank), 1])


def _transposed_weight(b: Builder, weight: Value, groups: int | Expr) -> Value:
    """[I, O / groups, *k] to [O, *k, I / groups]."""
    inputs, outputs, *kernel = weight.tensor.shape
    rank = weight.tensor.rank
    if groups == 1:
        return permuted(b, weight, [1, *range(2, rank), 0])
    x = reshaped(b, weight, (groups, floordiv(inputs, groups), outputs, *kernel))
    x = permuted(b, x, [0, 2, *range(3, rank + 1), 1])
    return reshaped(b, x, (outputs * groups, *kernel, floordiv(inputs, groups)))


def _convolution(
    b: Builder,
    input: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int | Expr,
    *unused: Any,
) -> Value:
    spatial = weight.tensor.rank - 2
    steps, holes = spread(stride, spatial), spread(dilation, spatial)
    common = {
        "stride": steps,
        "dilation": holes,
        "padding": spread(padding, spatial),
        "groups": groups,
    }
    if transposed:
        common["output_padding"] = spread(output_padding, spatial)
        kernel = _transposed_weight(b, weight, groups)
        return batched(
            b, input, spatial, lambda x: b.op("conv_transpose", x, kernel, bias, **common)
        )
    kernel = _weight(b, weight)
    return batched(b, input, spatial, lambda x: b.op("conv", x, kernel, bias, **common))


def _conv(
    b: Builder,
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int | Expr = 1,
) -> Value:
    spatial = weight.tensor.rank - 2
    if padding == "valid":
        padding = 0
    if padding == "same":
        input, padding = _same_padding(b, input, weight, spread(dilation, spatial))
    return _convolution(b, input, weight, bias, stride, padding, dilation, False, 0, groups)  # type: ignore[arg-type]


def _same_padding(
    b: Builder, input: Value, weight: Value, dilation: tuple[int, ...]
) -> tuple[Value, list[int]]:
    """torch puts the odd one of an uneven total at the end."""
    total: list[Any] = [d * (k - 1) for d, k in zip(dilation, weight.tensor.shape[2:], strict=True)]
    lead = input.tensor.rank - len(total)
    if any(t % 2 for t in total):
        high = (*[0] * lead, *[t % 2 for t in total])
        input = b.op("pad", input, low=(0,) * len(high), high=high, value=0.0)
    return input, [t // 2 for t in total]


def _conv_transpose(
    b: Builder,
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int | Expr = 1,
    dilation: Any = 1,
) -> Value:
    return _convolution(
        b, input, weight, bias, stride, padding, dilation, True, output_padding, groups
    )


def _conv_tbc(b: Builder, self: Value, weight: Value, bias: Value, pad: int = 0) -> Value:
    """[T, B, C] with a weight [k, I, O]."""
    x, kernel = permuted(b, self, [1, 0, 2]), permuted(b, weight, [2, 0, 1])
    out = b.op("conv", x, kernel, bias, stride=(1,), padding=(pad,), dilation=(1,), groups=1)
    return permuted(b, out, [1, 0, 2])


def _mkldnn_convolution(
    b: Builder,
    self: Value,
    weight: Value,
    bias: Value | None,
    padding: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int | Expr,
) -> Value:
    return _convolution(b, self, weight, bias, stride, padding, dilation, False, [0], groups)


def _columns(kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> dict[str, Any]:
    names = ("kernel", "dilation", "padding", "stride")
    return {
        k: spread(v, 2)
        for k, v in zip(names, (kernel_size, dilation, padding, stride), strict=True)
    }


def _im2col(
    b: Builder, self: Value, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Value:
    """nn.Unfold: [N, C, H, W] to [N, C * kh * kw, windows]."""
    return b.op("im2col", self, **_columns(kernel_size, dilation, padding, stride))


def _col2im(
    b: Builder,
    self: Value,
    output_size: Any,
    kernel_size: Any,
    dilation: Any,
    padding: Any,
    stride: Any,
) -> Value:
    """nn.Fold: overlapping windows are summed."""
    return b.op(
        "col2im", self, size=tuple(output_size), **_columns(kernel_size, dilation, padding, stride)
    )


ROWS: dict[str, Row] = {
    **{f"conv{n}d": _conv for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": _conv_transpose for n in (1, 2, 3)},
    "_convolution_mode": _conv,
    "convolution": _convolution,
    "_convolution": _convolution,
    "convolution_overrideable": _convolution,
    "mkldnn_convolution": _mkldnn_convolution,
    "conv_tbc": _conv_tbc,
    "im2col": _im2col,
    "col2im": _col2im,
}
