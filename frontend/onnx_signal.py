"""ONNX rows: Fourier transforms and what is made for them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import TranspileError
from ..ir import Builder, DType, Value
from .aten_common import fitted, static
from .onnx_math import to_dtype
from .onnx_shape import axis
from .onnx_values import Call, Host, Source


def _complex_of(b: Builder, x: Value) -> Value:
    """[..., 1] real or [..., 2] complex to the array without its last axis."""
    last = x.tensor.rank - 1
    real = b.op("select", x, axis=last, index=0)
    if x.tensor.shape[last] == 1:
        return real
    return b.op("complex", real, b.op("select", x, axis=last, index=1))


def _dft(c: Call, x: Source, length: Source = None, along: Source = None) -> Value:
    b, value = c.b, c.value(x)
    if c.opset < 20:
        at = axis(value, c.attr("axis", 1))
    else:
        at = axis(value, -2 if along is None else c.ints(along, "the axis")[0])
    inverse, onesided = bool(c.attr("inverse", 0)), bool(c.attr("onesided", 0))
    signal = _complex_of(b, value)
    size = signal.tensor.shape[at]
    if length is not None:
        size = c.dims(length, "the length")[0]
    elif inverse and onesided:
        size = 2 * (size - 1)
    return _transform(c, signal, at, size, inverse, onesided)


def _transform(c: Call, x: Value, at: int, size: Any, inverse: bool, onesided: bool) -> Value:
    b, dtype = c.b, x.tensor.dtype
    real = not dtype.is_complex
    if real:
        x = to_dtype(b, x, DType.f32)
    if inverse and onesided:
        half = fitted(b, x, at, size // 2 + 1)
        out = b.op("irfft", _as_complex(b, half), axes=(at,), size=size)
        return to_dtype(b, b.op("expand_dims", out, axes=(out.tensor.rank,)), _plain(dtype))
    x = fitted(b, x, at, size)
    if onesided and real:
        out = b.op("rfft", x, axes=(at,))
    else:
        out = b.op("ifft" if inverse else "fft", _as_complex(b, x), axes=(at,))
        if onesided:
            out = b.op("slice", out, axis=at, start=0, stop=size // 2 + 1)
    return to_dtype(b, b.op("as_real", out), _plain(dtype))


def _plain(dtype: DType) -> DType:
    return DType.f32 if dtype.is_complex else dtype


def _as_complex(b: Builder, x: Value) -> Value:
    return x if x.tensor.dtype.is_complex else b.op("cast", x, dtype=DType.c64)


def _stft(c: Call, x: Source, step: Source, window: Source = None, length: Source = None) -> Value:
    """Frames of the signal times the window, transformed."""
    b, value = c.b, c.value(x)
    hop = c.ints(step, "the step")[0]
    shape = value.tensor.shape
    signal = _complex_of(b, value) if len(shape) == 3 else value
    weights = None if window is None else c.value(window, role="window")
    if length is not None:
        size = c.ints(length, "the frame length")[0]
    elif weights is not None:
        size = static(weights.tensor.shape[0], "the window's length")
    else:
        raise TranspileError("STFT without window and length")
    frames = b.op("windows", signal, axis=1, size=size, step=hop)
    if weights is not None:
        frames = b.op("multiply", frames, weights)
    return _transform(c, frames, 2, size, False, bool(c.attr("onesided", 1)))


def _window(*terms: float) -> Any:
    """A sum of cosines: a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N)."""

    def row(c: Call, size: Source) -> Host:
        from .onnx_read import dtype_of
        from .onnx_values import host

        n = c.ints(size, "the size")[0]
        dtype = dtype_of(c.attr("output_datatype", 1), c.op)
        period = n if c.attr("periodic", 1) else n - 1
        at = 2 * math.pi * np.arange(n, dtype=np.float64) / period
        values = sum((-1) ** i * a * np.cos(i * at) for i, a in enumerate(terms))
        return host(np.asarray(values).astype(dtype.numpy), dtype, "window")

    return row


def _mel_weights(
    c: Call, bins: Source, length: Source, rate: Source, low: Source, high: Source
) -> Host:
    """Triangles at even steps of the mel scale, as a matrix [frequencies, bins]."""
    from .onnx_read import dtype_of
    from .onnx_values import host

    count, size, sampling = (int(c.scalar(v, "a size")) for v in (bins, length, rate))
    edges = [float(c.scalar(v, "a frequency")) for v in (low, high)]
    spectrum = size // 2 + 1
    mel = 2595 * np.log10(1 + np.array(edges) / 700)
    step = (mel[1] - mel[0]) / (count + 2)
    points = 700 * (10 ** ((np.arange(count + 2) * step + mel[0]) / 2595) - 1)
    places = ((size + 1) * points // sampling).astype(int)
    out = np.zeros((spectrum, count))
    for i in range(count):
        left, centre, right = places[i : i + 3]
        if left == centre:
            out[centre, i] = 1
        for j in range(left, centre + 1) if left != centre else ():
            out[j, i] = (j - left) / (centre - left)
        for j in range(centre, right) if right > centre else ():
            out[j, i] = (right - j) / (right - centre)
    dtype = dtype_of(c.attr("output_datatype", 1), c.op)
    return host(out.astype(dtype.numpy), dtype, "mel_weights")


ROWS: dict[str, Any] = {
    "DFT": _dft,
    "STFT": _stft,
    "HannWindow": _window(0.5, 0.5),
    "HammingWindow": _window(25 / 46, 1 - 25 / 46),
    "BlackmanWindow": _window(0.42, 0.5, 0.08),
    "MelWeightMatrix": _mel_weights,
}
