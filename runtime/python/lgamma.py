import math

import mlx.core as mx


def lgamma(x: mx.array) -> mx.array:
    """torch.lgamma in float32: a series at 2, Stirling's above, reflection below."""
    y = x.astype(mx.float32)
    reflected = mx.where(y < 0.5, 1 - y, y)
    out = mx.where(reflected < 2.5, _lgamma_near_2(reflected), _stirling(reflected))
    sine = mx.abs(mx.sin(math.pi * (y - mx.round(y))))
    out = mx.where(y < 0.5, math.log(math.pi) - mx.log(sine) - out, out)
    return mx.where(mx.isinf(y), mx.inf, out).astype(x.dtype)


def _lgamma_near_2(x):
    # log(gamma(2 + z)); from 0.5 to 1.5 by gamma(x) = gamma(x + 1) / x.
    low = x < 1.5
    z = mx.where(low, x - 1, x - 2)
    series = mx.zeros_like(z)
    for c in _LGAMMA_SERIES:
        series = (series + c) * z
    return series - mx.where(low, mx.log(x), 0)


def _stirling(x):
    # Below 8 by gamma(x) = gamma(x + 6) / (x * (x + 1) * ... * (x + 5)).
    low = x < 8
    product = math.prod(x + i for i in range(6))
    y = mx.where(low, x + 6, x)
    tail = (1 / 12 - 1 / (360 * y * y)) / y
    out = (y - 0.5) * (mx.log(y) - 1) - 0.5 + 0.5 * math.log(2 * math.pi) + tail
    return out - mx.where(low, mx.log(product), 0)


# (-1)**k * (zeta(k) - 1) / k for k from 12 down to 2, then 1 - Euler's constant.
_LGAMMA_SERIES = [
    2.05072128e-05,
    -4.49262367e-05,
    9.94575128e-05,
    -0.000223154758,
    0.000509669525,
    -0.00119275391,
    0.00289051033,
    -0.00738555103,
    0.0205808084,
    -0.0673523011,
    0.322467033,
    0.422784335,
]
