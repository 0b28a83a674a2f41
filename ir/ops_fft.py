"""Fourier transforms and complex numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .dims import floordiv
from .op import Attr, InferError, Op, broadcast, equal, tensor
from .ops_shape import last
from .tree import Literal, Tree, arrays, call
from .types import DType, Tensor

_REAL = {DType.c64: DType.f32, DType.c128: DType.f64}


_COMPLEX = {real: value for value, real in _REAL.items()}


def _complex_of(x: Any) -> DType:
    if tensor(x).dtype.is_complex:
        return x.dtype
    if x.dtype not in _COMPLEX:
        raise InferError(f"a transform of {x.dtype}: cast to f32 first")
    return _COMPLEX[x.dtype]


def real_of(dtype: DType) -> DType:
    return _REAL.get(dtype, dtype)


def _infer_fft(x: Any, axes: tuple[int, ...], norm: str) -> Tensor:
    return tensor(x).with_dtype(_complex_of(x))


def _infer_rfft(x: Any, axes: tuple[int, ...], norm: str) -> Tensor:
    out = _infer_fft(x, axes, norm)
    return out.with_shape(*(d // 2 + 1 if i == axes[-1] else d for i, d in enumerate(out.shape)))


def _infer_irfft(x: Any, axes: tuple[int, ...], norm: str, size: Any) -> Tensor:
    if not tensor(x).dtype.is_complex:
        raise InferError(f"irfft needs a complex operand, got {x}")
    shape = (size if i == axes[-1] else d for i, d in enumerate(x.shape))
    return Tensor(_REAL[x.dtype], tuple(shape))


def _fft_tree(name: str) -> Callable[..., Tree]:
    """The 1-d form for one axis, which is the last by default."""

    def emit(node: Any, x: Tree) -> Tree:
        axes, rank = node["axes"], node.type(0).rank
        norm = {} if node["norm"] == "backward" else {"norm": node["norm"]}
        if len(axes) == 1:
            size = {"n": node["size"]} if name == "irfft" else {}
            axis = {} if axes[0] == rank - 1 else {"axis": last(axes[0], rank)}
            return call(f"mx.fft.{name}", x, **size, **axis, **norm)
        shape = node.type(0).shape
        size = {"s": (*(shape[a] for a in axes[:-1]), node["size"])} if name == "irfft" else {}
        return call(f"mx.fft.{name}n", x, **size, axes=axes, **norm)

    return emit


def _fft(name: str, infer: Callable[..., Tensor], doc: str, **attrs: Attr) -> Op:
    def reference(
        x: np.ndarray, axes: tuple[int, ...], norm: str, size: int | None = None
    ) -> np.ndarray:
        function = getattr(np.fft, f"{name}n")
        shape = {} if size is None else {"s": [*(x.shape[a] for a in axes[:-1]), size]}
        out = function(x, axes=axes, norm=norm, **shape)
        narrow = x.dtype in (np.dtype(np.float32), np.dtype(np.complex64))
        return out.astype(
            (
                {"c": np.complex64, "f": np.float32}
                if narrow
                else {"c": np.complex128, "f": np.float64}
            )[out.dtype.kind]
        )

    return Op(
        name,
        "x",
        infer,
        _fft_tree(name),
        reference,
        {"axes": Attr("axes"), "norm": Attr("str", "backward"), **attrs},
        doc=doc,
    )


def _infer_complex(real: Any, imaginary: Any) -> Tensor:
    if tensor(real).dtype not in _COMPLEX or real.dtype is not tensor(imaginary).dtype:
        raise InferError(f"complex needs two real operands of one type, got {real} and {imaginary}")
    return Tensor(_COMPLEX[real.dtype], broadcast(real.shape, imaginary.shape))


def _complex(real: np.ndarray, imaginary: np.ndarray) -> np.ndarray:
    return (real + 1j * imaginary).astype(
        np.complex64 if real.dtype == np.float32 else np.complex128
    )


def _infer_part(x: Any) -> Tensor:
    return tensor(x).with_dtype(real_of(x.dtype))


def _infer_as_complex(x: Any) -> Tensor:
    equal(tensor(x).shape[-1], 2)
    return Tensor(_complex_of(x), x.shape[:-1])


def _as_complex(x: np.ndarray) -> np.ndarray:
    return _complex(x[..., 0], x[..., 1])


def _infer_stft(
    x: Any, window: Any, n_fft: int, hop_length: int, onesided: bool, padding: str, **attrs: Any
) -> Tensor:
    length = tensor(x).shape[-1] + (0 if padding == "none" else n_fft // 2 * 2)
    bins = n_fft // 2 + 1 if onesided else n_fft
    return Tensor(_complex_of(x), (*x.shape[:-1], bins, floordiv(length - n_fft, hop_length) + 1))


def _centred(window: Any, win_length: int, n_fft: int) -> np.ndarray:
    """The window in the middle of a frame."""
    left = (n_fft - win_length) // 2
    return np.pad(
        np.ones(win_length) if window is None else window, (left, n_fft - win_length - left)
    )


def _stft(
    x: np.ndarray,
    window: Any,
    n_fft: int,
    hop_length: int,
    win_length: int,
    padding: str,
    normalized: bool,
    onesided: bool,
) -> np.ndarray:
    if padding != "none":
        x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(n_fft // 2, n_fft // 2)], mode=padding)  # type: ignore[call-overload]
    frames = np.lib.stride_tricks.sliding_window_view(x, n_fft, -1)[
        ..., ::hop_length, :
    ] * _centred(window, win_length, n_fft)
    function = np.fft.rfft if onesided else np.fft.fft
    out = function(frames, norm="ortho" if normalized else None)
    return out.swapaxes(-1, -2).astype(np.complex64 if x.dtype == np.float32 else np.complex128)


def _infer_istft(
    x: Any, window: Any, n_fft: int, hop_length: int, center: bool, length: Any, **attrs: Any
) -> Tensor:
    if not tensor(x).dtype.is_complex:
        raise InferError(f"istft needs complex spectra, got {x}")
    total = n_fft + hop_length * (x.shape[-1] - 1) - (n_fft // 2 * 2 if center else 0)
    return Tensor(_REAL[x.dtype], (*x.shape[:-2], total if length is None else length))


def _overlap_add(frames: np.ndarray, hop: int) -> np.ndarray:
    *lead, count, size = frames.shape
    out = np.zeros((*lead, (count - 1) * hop + size))
    for i in range(count):
        out[..., i * hop : i * hop + size] += frames[..., i, :]
    return out


def _istft(
    x: np.ndarray,
    window: Any,
    n_fft: int,
    hop_length: int,
    win_length: int,
    center: bool,
    normalized: bool,
    onesided: bool,
    length: int | None,
) -> np.ndarray:
    shape = _centred(window, win_length, n_fft)
    norm: Any = "ortho" if normalized else None
    spectra = x.swapaxes(-1, -2)
    frames = (
        np.fft.irfft(spectra, n_fft, norm=norm)
        if onesided
        else np.fft.ifft(spectra, norm=norm).real
    )
    out = _overlap_add(frames * shape, hop_length)
    envelope = _overlap_add(np.broadcast_to(shape * shape, frames.shape[-2:]), hop_length)
    start, total = (n_fft // 2 if center else 0), out.shape[-1]
    end = start + length if length is not None else total - start
    out = out[..., start:end] / envelope[start:end]
    out = np.pad(out, [(0, 0)] * (out.ndim - 1) + [(0, max((length or 0) - out.shape[-1], 0))])
    return out.astype(np.float32 if x.dtype == np.complex64 else np.float64)


def _short_time_tree(node: Any, x: Tree, window: Tree) -> Tree:
    """Options that are the helper's defaults are left out."""
    n_fft = node["n_fft"]
    options = {
        "hop_length": (n_fft // 4, node["hop_length"]),
        "win_length": (n_fft, node["win_length"]),
    }
    if node.op == "stft":
        options["center"] = (True, node["padding"] != "none")
        options["pad_mode"] = (True, node["padding"] in ("none", "reflect") or node["padding"])
    else:
        options["center"] = (True, node["center"])
        options["length"] = (None, node["length"])
    options |= {
        "norm": ("backward", "ortho" if node["normalized"] else "backward"),
        "onesided": (True, node["onesided"]),
    }
    given = {k: value for k, (default, value) in options.items() if value != default}
    if window != Literal(None):
        given["window"] = window
    return call(f"mx.fft.{node.op}", x, n_fft, **given)


_FRAMES = {"n_fft": Attr("int"), "hop_length": Attr("int"), "win_length": Attr("int")}


_SPECTRUM = {"normalized": Attr("bool", False), "onesided": Attr("bool", True)}


ROWS = [
    _fft("fft", _infer_fft, "Discrete Fourier transform over the axes."),
    _fft("ifft", _infer_fft, "Inverse of fft."),
    _fft(
        "rfft",
        _infer_rfft,
        "Transform of a real array; the last of the axes keeps its non-negative frequencies.",
    ),
    _fft(
        "irfft",
        _infer_irfft,
        "Inverse of rfft; `size` is the length of the last of the axes.",
        size=Attr("dim"),
    ),
    Op(
        "complex",
        "real imaginary",
        _infer_complex,
        lambda n, a, b: call("runtime.view_as_complex", call("mx.stack", arrays([a, b]), axis=-1)),
        _complex,
        doc="real + 1j * imaginary.",
    ),
    Op(
        "real",
        "x",
        _infer_part,
        lambda n, x: call("mx.real", x),
        lambda x: np.real(x).copy(),
        doc="Real part.",
    ),
    Op(
        "imag",
        "x",
        _infer_part,
        lambda n, x: call("mx.imag", x),
        lambda x: np.imag(x).copy(),
        doc="Imaginary part.",
    ),
    Op(
        "conj",
        "x",
        lambda x: tensor(x),
        lambda n, x: call("mx.conj", x),
        np.conj,
        doc="Complex conjugate.",
    ),
    Op(
        "angle",
        "x",
        _infer_part,
        lambda n, x: call("runtime.angle", x),
        lambda x: np.angle(x).astype(np.real(x).dtype),
        doc="The argument of complex numbers.",
    ),
    Op(
        "modulus",
        "x",
        _infer_part,
        lambda n, x: call("mx.abs", x),
        lambda x: np.abs(x),
        doc="Absolute value of complex numbers.",
    ),
    Op(
        "as_complex",
        "x",
        _infer_as_complex,
        lambda n, x: call("runtime.view_as_complex", x),
        _as_complex,
        doc="[..., 2] as complex numbers.",
    ),
    Op(
        "as_real",
        "x",
        lambda x: Tensor(real_of(tensor(x).dtype), (*x.shape, 2)),
        lambda n, x: call("runtime.view_as_real", x),
        lambda x: np.stack([x.real, x.imag], -1),
        doc="Complex numbers as [..., 2].",
    ),
    Op(
        "stft",
        "x window?",
        _infer_stft,
        _short_time_tree,
        _stft,
        {**_FRAMES, "padding": Attr("str", "reflect"), **_SPECTRUM},
        doc="[..., L] to complex [..., frequencies, frames]; the ends are padded by half a frame "
        "(`padding`: none, reflect, constant, edge).",
    ),
    Op(
        "istft",
        "x window?",
        _infer_istft,
        _short_time_tree,
        _istft,
        {**_FRAMES, "center": Attr("bool", True), **_SPECTRUM, "length": Attr("dim", None)},
        doc="Inverse of stft: frames overlapped and divided by the overlapped squares of the "
        "window. Griffin and Lim, 1984.",
    ),
]
