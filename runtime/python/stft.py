import mlx.core as mx

from .fft_window import fft_window
from .unfold import unfold


def stft(
    x: mx.array,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: mx.array | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool = True,
) -> mx.array:
    """torch.stft of x [..., L]: [..., frequencies, frames]; pad_mode is mx.pad's.

    mx.fft.stft does the same from MLX 0.32.4 on.
    """
    if center:
        x = mx.pad(x, [(0, 0)] * (x.ndim - 1) + [(n_fft // 2, n_fft // 2)], pad_mode)
    frames = unfold(x, -1, n_fft, hop_length or n_fft // 4)
    frames = frames * fft_window(window, win_length or n_fft, n_fft)
    fft = mx.fft.rfft if onesided else mx.fft.fft
    spectra = fft(frames, norm="ortho" if normalized else "backward")
    return spectra.swapaxes(-1, -2)
