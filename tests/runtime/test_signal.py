"""MLX's transforms beside torch's: they need no helper, the emitter calls them as here."""

import mlx.core as mx
import pytest
import torch
from torch_reference import check, helper, to_mx

PADS = {"reflect": "reflect", "constant": "constant", "replicate": "edge"}
FRAMES = [(64, 16, 64), (64, 20, 48), (63, 16, 63), (50, None, None), (64, 16, 31)]


@pytest.mark.parametrize("shape", [(400,), (2, 331)])
@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("onesided", [True, False])
def test_stft(shape, frame, center, normalized, onesided):
    torch.manual_seed(0)
    x, (n_fft, hop, length) = torch.randn(shape), frame
    window = torch.hann_window(length or n_fft)
    spectra = torch.stft(
        x, n_fft, hop, length, window, center, "reflect", normalized, onesided, return_complex=True
    )
    out = mx.fft.stft(
        to_mx(x),
        n_fft,
        hop_length=hop,
        win_length=length,
        window=to_mx(window),
        center=center,
        norm="ortho" if normalized else "backward",
        onesided=onesided,
    )
    check(out, spectra, atol=1e-5)
    check(helper("view_as_real")(out), torch.view_as_real(spectra), atol=1e-5)


@pytest.mark.parametrize("pad_mode", PADS)
def test_stft_pads(pad_mode):
    x, window = torch.randn(2, 200), torch.hann_window(32)
    expected = torch.stft(x, 32, 8, window=window, pad_mode=pad_mode, return_complex=True)
    out = mx.fft.stft(to_mx(x), 32, hop_length=8, window=to_mx(window), pad_mode=PADS[pad_mode])
    check(out, expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(400,), (2, 331)])
@pytest.mark.parametrize("frame", [(64, 16, 64), (64, 12, 48), (63, 16, 63)])
@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("length", [None, 300, 330])
def test_istft(shape, frame, normalized, length):
    torch.manual_seed(0)
    x, (n_fft, hop, win_length) = torch.randn(shape), frame
    window = torch.hamming_window(win_length)
    options = {"normalized": normalized, "window": window, "win_length": win_length}
    spectra = torch.stft(x, n_fft, hop, return_complex=True, **options)
    expected = torch.istft(spectra, n_fft, hop, length=length, **options)
    out = mx.fft.istft(
        to_mx(spectra),
        n_fft,
        hop_length=hop,
        win_length=win_length,
        window=to_mx(window),
        norm="ortho" if normalized else "backward",
        length=length,
    )
    check(out, expected, atol=1e-5)


@pytest.mark.parametrize("onesided", [True, False])
@pytest.mark.parametrize("length", [None, 100])
def test_istft_without_center(onesided, length):
    window = torch.ones(16)
    options = {"center": False, "onesided": onesided}
    spectra = torch.stft(torch.randn(3, 120), 16, 8, window=window, return_complex=True, **options)
    expected = torch.istft(spectra, 16, 8, window=window, length=length, **options)
    out = mx.fft.istft(to_mx(spectra), n_fft=16, hop_length=8, length=length, **options)
    check(out, expected)


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("n", [None, 5, 12])
@pytest.mark.parametrize("axis", [0, -1])
def test_fft(norm, n, axis):
    torch.manual_seed(0)
    x, z = torch.randn(6, 8), torch.randn(6, 8, dtype=torch.complex64)
    for name, value in [("fft", z), ("ifft", z), ("rfft", x), ("irfft", z)]:
        expected = getattr(torch.fft, name)(value, n=n, dim=axis, norm=norm)
        out = getattr(mx.fft, name)(to_mx(value), n=n, axis=axis, norm=norm)
        check(out, expected, atol=3e-6)
    check(mx.fft.fft2(to_mx(z), norm=norm), torch.fft.fft2(z, norm=norm), atol=1e-5)
    check(mx.fft.fftshift(to_mx(z), axes=(axis,)), torch.fft.fftshift(z, dim=(axis,)))
