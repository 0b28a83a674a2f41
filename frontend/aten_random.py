"""ATen rows: random numbers.

The numbers are those of MLX's generator, not torch's; so that a model can be compared with its
source, a run of the source tells what it drew (see draws.py). What a row makes of several steps is
drawn there in the same steps.
"""

from __future__ import annotations

from typing import Any

from ..ir import Builder, DType, Value
from ..ir.dims import Expr
from ..ir.op import broadcast
from .aten_common import Dims, Row, floats, need, refuse, tensor
from .follows import followed
from .promotion import FLOAT, cast

_LARGEST = 1 << 24  # MLX draws integers as float32, which does not hold all that are larger


def _drawn(
    b: Builder, op: str, shape: Dims, dtype: DType, like: Value | None = None, **options: Any
) -> Value:
    """Floats of the type; MLX draws none in double precision. `like` is what it follows."""
    wide = dtype is DType.f64
    like = None if wide else followed(like, dtype)
    out = b.op(op, like, shape=tuple(shape), dtype=DType.f32 if wide else dtype, **options)
    return cast(b, out, dtype)


def _sized(op: str) -> Row:
    """rand, randn."""
    return lambda b, size, *, dtype=None, **unused: _drawn(b, op, size, dtype or FLOAT)


def _like(op: str) -> Row:
    """rand_like, randn_like."""

    def row(b: Builder, self: Any, *, dtype: DType | None = None, **unused: Any) -> Value:
        self = tensor(b, self)
        kind = self.tensor
        return _drawn(b, op, kind.shape, dtype or kind.dtype, None if dtype else self)

    return row


def _normal(b: Builder, self: Value, mean: float = 0.0, std: float = 1.0) -> Value:
    """normal_ and its functional form."""
    kind = self.tensor
    return _drawn(b, "random_normal", kind.shape, kind.dtype, mean=float(mean), std=float(std))


def _normal_sized(
    b: Builder, mean: float, std: float, size: Dims, *, dtype: DType | None = None, **unused: Any
) -> Value:
    return _drawn(b, "random_normal", size, dtype or FLOAT, mean=float(mean), std=float(std))


def _normal_around(b: Builder, mean: Any, std: Any = 1.0) -> Value:
    """A mean, a deviation, or both for each element."""
    given = [x for x in (mean, std) if isinstance(x, Value)]
    shape, dtype = broadcast(*(x.tensor.shape for x in given)), given[0].tensor.dtype
    out = _drawn(b, "random_normal", shape, dtype, given[0])
    std, mean = (cast(b, x, dtype) if isinstance(x, Value) else x for x in (std, mean))
    return b.op("add", b.op("multiply", out, std), mean)


def _uniform(b: Builder, self: Value, low: float = 0.0, high: float = 1.0) -> Value:
    kind = self.tensor
    return _drawn(b, "random_uniform", kind.shape, kind.dtype, low=float(low), high=float(high))


def _exponential(b: Builder, self: Value, rate: float = 1.0) -> Value:
    """The inverse of its distribution function, of uniform numbers."""
    uniform = _drawn(b, "random_uniform", self.tensor.shape, self.tensor.dtype)
    waits = b.op("negative", b.op("log1p", b.op("negative", uniform)))
    return waits if rate == 1 else b.op("divide", waits, float(rate))


def _integers(b: Builder, low: Any, high: Any, shape: Dims, dtype: DType) -> Value:
    for end in (low, high):
        need(isinstance(end, int | Expr), f"random integers up to {end!r}")
        need(
            isinstance(end, Expr) or abs(end) <= _LARGEST,
            f"random integers up to {end}: MLX draws them evenly up to 2**24",
            "draw them outside of the model, or smaller ones",
        )
    kind = dtype if dtype.is_integer else DType.i64
    out = b.op("random_integers", shape=tuple(shape), low=low, high=high, dtype=kind)
    return cast(b, out, dtype)


def _randint(
    b: Builder, high: Any, size: Dims, *, dtype: DType | None = None, **unused: Any
) -> Value:
    return _integers(b, 0, high, size, dtype or DType.i64)


def _randint_from(
    b: Builder, low: Any, high: Any, size: Dims, *, dtype: DType | None = None, **unused: Any
) -> Value:
    return _integers(b, low, high, size, dtype or DType.i64)


def _randint_like(
    b: Builder, self: Value, low: Any, high: Any, *, dtype: DType | None = None, **unused: Any
) -> Value:
    return _integers(b, low, high, self.tensor.shape, dtype or self.tensor.dtype)


def _bernoulli(b: Builder, self: Value, p: Any = None) -> Value:
    """Zeros and ones of the operand's type: with its elements as probabilities, or with others."""
    kind = self.tensor
    p = self if p is None else p
    if isinstance(p, Value):
        p = floats(b, p)
        p = p if p.tensor.shape == kind.shape else b.op("broadcast_to", p, shape=kind.shape)
    return cast(b, b.op("random_bernoulli", p, shape=kind.shape), kind.dtype)


def _multinomial(b: Builder, self: Value, num_samples: Any, replacement: bool = False) -> Value:
    need(
        replacement or num_samples == 1,
        "multinomial draws several numbers without replacement",
        "draw one, or with replacement",
    )
    return b.op("random_categorical", b.op("log", floats(b, self)), count=num_samples)


_other = refuse(
    "random numbers of this distribution have no counterpart",
    "draw normal, uniform, exponential or Bernoulli numbers, or integers within 2**24; or pass the "
    "numbers as an input of the model",
)

ROWS: dict[str, Row] = {
    "rand": _sized("random_uniform"),
    "randn": _sized("random_normal"),
    "rand_like": _like("random_uniform"),
    "randn_like": _like("random_normal"),
    "normal": _normal,
    "normal_functional": _normal,
    "normal.float_float": _normal_sized,
    "normal.Tensor_float": _normal_around,
    "normal.float_Tensor": _normal_around,
    "normal.Tensor_Tensor": _normal_around,
    "uniform": _uniform,
    "exponential": _exponential,
    "randint": _randint,
    "randint.low": _randint_from,
    "randint.low_generator": _randint_from,
    "randint_like": lambda b, self, high, **o: _randint_like(b, self, 0, high, **o),
    "randint_like.low_dtype": _randint_like,
    "randint_like.low_generator_dtype": _randint_like,
    "random.to": lambda b, self, to: _randint_like(b, self, 0, to),
    "random.from": lambda b, self, low, high: _randint_like(b, self, low, high),
    "bernoulli": _bernoulli,
    "multinomial": _multinomial,
    **dict.fromkeys(("random", "randperm", "poisson", "log_normal", "geometric", "cauchy"), _other),
}
