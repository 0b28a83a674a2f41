"""ATen rows: Fourier transforms and complex numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ir import Builder, DType, Value
from ..ir.dims import Expr, floordiv
from .aten_common import Row, axis, fitted, floats, need
from .aten_shape import pad_by_mode

_NORMS = {None: "backward", "backward": "backward", "ortho": "ortho", "forward": "forward"}


def _abs(b: Builder, self: Any) -> Any:
    if not isinstance(self, Value):
        return abs(self)
    return b.op("modulus" if self.tensor.dtype.is_complex else "abs", self)


def _angle(b: Builder, self: Value) -> Value:
    if self.tensor.dtype.is_complex:
        return b.op("angle", self)
    x = floats(b, self)
    return b.op("where", b.op("less", x, 0), 3.141592653589793, b.op("multiply", x, 0.0))


def _real(b: Builder, self: Value) -> Value:
    return b.op("real", self) if self.tensor.dtype.is_complex else self


def _conj(b: Builder, self: Value) -> Value:
    return b.op("conj", self) if self.tensor.dtype.is_complex else self


def _polar(b: Builder, abs: Value, angle: Value) -> Value:
    parts = [b.op("multiply", abs, b.op(f, angle)) for f in ("cos", "sin")]
    return b.op("complex", *parts)


# ---- transforms


def _axes(x: Value, s: Any, dim: Any) -> tuple[int, ...]:
    if dim is None:
        return tuple(range(x.tensor.rank - (len(s) if s else x.tensor.rank), x.tensor.rank))
    return tuple(axis(x, d) for d in ([dim] if isinstance(dim, int) else dim))


def _transform(op: str, default: Any) -> Row:
    """torch.fft.fft, fft2, fftn and their real and inverse forms."""

    def row(
        b: Builder, self: Value, s: Any = None, dim: Any = default, norm: str | None = None
    ) -> Value:
        x = self if self.tensor.dtype.is_complex else floats(b, self)
        s = [s] if isinstance(s, int | Expr) else s
        places = _axes(x, s, dim)
        options: dict[str, Any] = {}
        if op == "irfft":
            x, options["size"] = _for_irfft(b, x, places, s)
        elif s:
            for at, n in zip(places, s, strict=True):
                x = x if n == -1 else fitted(b, x, at, n)
        return b.op(op, x, axes=places, norm=_NORMS[norm], **options)

    return row


def _for_irfft(b: Builder, x: Value, places: tuple[int, ...], s: Any) -> tuple[Value, Any]:
    """The half spectrum at the size that an output of `s` needs, and that output's last size."""
    if not s:
        return x, 2 * (x.tensor.shape[places[-1]] - 1)
    for at, n in zip(places[:-1], s[:-1], strict=True):
        x = fitted(b, x, at, n)
    return fitted(b, x, places[-1], floordiv(s[-1], 2) + 1), s[-1]


def _fft_r2c(
    b: Builder, self: Value, dim: Sequence[int], normalization: int, onesided: bool
) -> Value:
    norm = ("backward", "ortho", "forward")[normalization]
    return b.op(
        "rfft" if onesided else "fft", self, axes=tuple(axis(self, d) for d in dim), norm=norm
    )


def _fft_c2r(
    b: Builder, self: Value, dim: Sequence[int], normalization: int, last_dim_size: Any
) -> Value:
    norm = ("forward", "ortho", "backward")[normalization]
    return b.op(
        "irfft", self, axes=tuple(axis(self, d) for d in dim), norm=norm, size=last_dim_size
    )


def _fft_c2c(
    b: Builder, self: Value, dim: Sequence[int], normalization: int, forward: bool
) -> Value:
    order = ("backward", "ortho", "forward")
    norm = order[normalization] if forward else order[2 - normalization]
    return b.op(
        "fft" if forward else "ifft", self, axes=tuple(axis(self, d) for d in dim), norm=norm
    )


def _fftshift(sign: int) -> Row:
    def row(b: Builder, self: Value, dim: Any = None) -> Value:
        places = _axes(self, None, dim)
        shifts = tuple(floordiv(self.tensor.shape[a] + (0 if sign > 0 else 1), 2) for a in places)
        return b.op("roll", self, shifts=shifts, axes=places)

    return row


def _fftfreq(
    b: Builder, n: int, d: float = 1.0, *, dtype: DType | None = None, **unused: Any
) -> Value:
    values = [(i if i < (n + 1) // 2 else i - n) / (n * d) for i in range(n)]
    return b.op("literal", values=tuple(values), dtype=dtype or DType.f32)


def _rfftfreq(
    b: Builder, n: int, d: float = 1.0, *, dtype: DType | None = None, **unused: Any
) -> Value:
    return b.op(
        "literal", values=tuple(i / (n * d) for i in range(n // 2 + 1)), dtype=dtype or DType.f32
    )


# ---- short-time transforms


def _stft(
    b: Builder,
    self: Value,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Value | None = None,
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Value:
    return _spectra(
        b, self, n_fft, hop_length, win_length, window, normalized, onesided, return_complex, "none"
    )


def _stft_center(
    b: Builder,
    self: Value,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Value | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Value:
    padding = {"replicate": "edge"}.get(pad_mode, pad_mode) if center else "none"
    x = self
    if padding == "circular":
        x, padding = pad_by_mode(b, self, [n_fft // 2, n_fft // 2], pad_mode), "none"
    return _spectra(
        b, x, n_fft, hop_length, win_length, window, normalized, onesided, return_complex, padding
    )


def _spectra(
    b: Builder,
    x: Value,
    n_fft: int,
    hop_length: int | None,
    win_length: int | None,
    window: Value | None,
    normalized: bool,
    onesided: bool | None,
    return_complex: bool | None,
    padding: str,
) -> Value:
    need(not x.tensor.dtype.is_complex, "the stft of a complex signal")
    options = {
        **_frames(n_fft, hop_length, win_length),
        "normalized": normalized,
        "onesided": onesided is not False,
    }
    out = b.op("stft", x, window, padding=padding, **options)
    return out if return_complex else b.op("as_real", out)


def _frames(n_fft: int, hop_length: int | None, win_length: int | None) -> dict[str, int]:
    return {
        "n_fft": n_fft,
        "hop_length": hop_length or n_fft // 4,
        "win_length": win_length or n_fft,
    }


def _istft(
    b: Builder,
    self: Value,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Value | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: Any = None,
    return_complex: bool = False,
) -> Value:
    need(not return_complex, "an istft with a complex result")
    options = {
        "center": center,
        "normalized": normalized,
        "onesided": onesided is not False,
        "length": length,
    }
    return b.op("istft", self, window, **_frames(n_fft, hop_length, win_length), **options)


ROWS: dict[str, Row] = {
    "abs": _abs,
    "absolute": _abs,
    "angle": _angle,
    "real": _real,
    "imag": lambda b, self: b.op("imag", self),
    "conj": _conj,
    "_conj": _conj,
    "conj_physical": _conj,
    "_conj_copy": _conj,
    "view_as_complex": lambda b, self: b.op("as_complex", self),
    "view_as_complex_copy": lambda b, self: b.op("as_complex", self),
    "view_as_real": lambda b, self: b.op("as_real", self),
    "view_as_real_copy": lambda b, self: b.op("as_real", self),
    "complex": lambda b, real, imag: b.op("complex", real, imag),
    "polar": _polar,
    **{f"fft_{name}": _transform(name, -1) for name in ("fft", "ifft", "rfft", "irfft")},
    **{f"fft_{name}2": _transform(name, (-2, -1)) for name in ("fft", "ifft", "rfft", "irfft")},
    **{f"fft_{name}n": _transform(name, None) for name in ("fft", "ifft", "rfft", "irfft")},
    "_fft_r2c": _fft_r2c,
    "_fft_c2r": _fft_c2r,
    "_fft_c2c": _fft_c2c,
    "fft_fftshift": _fftshift(1),
    "fft_ifftshift": _fftshift(-1),
    "fft_fftfreq": _fftfreq,
    "fft_rfftfreq": _rfftfreq,
    "stft": _stft,
    "stft.center": _stft_center,
    "istft": _istft,
}
