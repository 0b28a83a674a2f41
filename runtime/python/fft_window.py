import mlx.core as mx


def fft_window(window: mx.array | None, length: int, n_fft: int) -> mx.array:
    """The window of torch's stft, or ones, with zeros around it up to n_fft."""
    if window is None:
        window = mx.ones(length)
    before = (n_fft - length) // 2
    return mx.pad(window, (before, n_fft - length - before))
