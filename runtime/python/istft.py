import mlx.core as mx

from .fft_window import fft_window


def istft(
    x: mx.array,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: mx.array | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool = True,
    length: int | None = None,
) -> mx.array:
    """torch.istft of x [..., frequencies, frames]: real [..., L].

    mx.fft.istft does the same from MLX 0.32.4 on.
    """
    hop = hop_length or n_fft // 4
    window = fft_window(window, win_length or n_fft, n_fft)
    norm = "ortho" if normalized else "backward"
    x = x.swapaxes(-1, -2)
    if onesided:
        frames = mx.fft.irfft(x, n=n_fft, norm=norm)
    else:
        frames = mx.real(mx.fft.ifft(x, norm=norm))
    squares = mx.broadcast_to(window * window, frames.shape[-2:])
    out = _overlap_add(frames * window, hop)
    envelope = _overlap_add(squares, hop)

    start = n_fft // 2 if center else 0
    end = n_fft + hop * (frames.shape[-2] - 1)
    if length is not None:
        end = min(end, start + length)
    elif center:
        end = end - start
    out = out[..., start:end] / envelope[start:end]
    missing = (length or 0) - out.shape[-1]
    return mx.pad(out, [(0, 0)] * (out.ndim - 1) + [(0, max(0, missing))])


def _overlap_add(frames, hop):
    # [..., frames, n] to [..., samples]; the k-th piece of a frame goes k rows down.
    *lead, count, n = frames.shape
    pieces = -(-n // hop)
    batch = [(0, 0)] * len(lead)
    frames = mx.pad(frames, [*batch, (0, 0), (0, pieces * hop - n)])
    frames = frames.reshape(*lead, count, pieces, hop)
    rows = (
        mx.pad(frames[..., k, :], [*batch, (k, pieces - 1 - k), (0, 0)])
        for k in range(pieces)
    )
    return sum(rows).reshape(*lead, -1)
