"""ATen rows: losses. Models with codebooks compute some in evaluation, returned or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir import Builder, DType, Value
from .aten_common import Row, axis, expand_dims, floats, need, squeeze, tensor
from .aten_elementwise import ROWS as ELEMENTWISE
from .promotion import promoted

_REDUCTIONS = ("none", "mean", "sum")


def _reduced(b: Builder, x: Value, reduction: int) -> Value:
    if _REDUCTIONS[reduction] == "none":
        return x
    return b.op(_REDUCTIONS[reduction], x, axes=tuple(range(x.tensor.rank)))


def _filled(b: Builder, like: Value, value: int) -> Value:
    kind = like.tensor
    return b.op("full", shape=kind.shape, value=value, dtype=kind.dtype)


def _of_gap(loss: Callable[..., Value]) -> Row:
    """A loss of the difference of two tensors."""

    def row(b: Builder, self: Any, target: Any, reduction: int = 1, *options: Any) -> Value:
        gap = b.op("subtract", *promoted(b, tensor(b, self), tensor(b, target)))
        return _reduced(b, loss(b, gap, *options), reduction)

    return row


def _huber(b: Builder, gap: Value, delta: float = 1.0) -> Value:
    """gap^2 / 2 up to delta, a line of that slope beyond."""
    size = b.op("abs", gap)
    near = b.op("multiply", b.op("square", gap), 0.5)
    far = b.op("multiply", b.op("subtract", size, 0.5 * delta), float(delta))
    return b.op("where", b.op("less", size, float(delta)), near, far)


def _smooth_l1(b: Builder, gap: Value, beta: float = 1.0) -> Value:
    if beta == 0:
        return b.op("abs", gap)
    return b.op("divide", _huber(b, gap, beta), float(beta))


def _binary(b: Builder, self: Any, target: Any, weight: Any = None, reduction: int = 1) -> Value:
    """-(y log p + (1 - y) log(1 - p)), logarithms not below -100."""
    p, y = promoted(b, floats(b, self), tensor(b, target))
    logs = [b.op("maximum", b.op("log", x), -100.0) for x in (p, b.op("subtract", 1.0, p))]
    yes, no = (b.op("multiply", s, x) for s, x in zip((y, b.op("subtract", 1.0, y)), logs))
    loss = b.op("negative", b.op("add", yes, no))
    return _reduced(b, loss if weight is None else b.op("multiply", loss, weight), reduction)


def _binary_of_logits(
    b: Builder, self: Any, target: Any, weight: Any = None, pos_weight: Any = None,
    reduction: int = 1,
) -> Value:  # fmt: skip
    """(1 - y) x + (1 + (w - 1) y) softplus(-x), w the weight of positives."""
    x, y = promoted(b, floats(b, self), tensor(b, target))
    soft: Value = ELEMENTWISE["logaddexp"](b, b.op("negative", x), _filled(b, x, 0))
    if pos_weight is not None:
        gain = b.op("add", b.op("multiply", b.op("subtract", pos_weight, 1.0), y), 1.0)
        soft = b.op("multiply", gain, soft)
    loss = b.op("add", b.op("multiply", b.op("subtract", 1.0, y), x), soft)
    return _reduced(b, loss if weight is None else b.op("multiply", loss, weight), reduction)


def _divergence(
    b: Builder, self: Any, target: Any, reduction: int = 1, *, log_target: bool = False
) -> Value:
    """target (log target - self)."""
    x, y = promoted(b, floats(b, self), tensor(b, target))
    if log_target:
        return _reduced(b, b.op("multiply", b.op("exp", y), b.op("subtract", y, x)), reduction)
    entropy: Value = ELEMENTWISE["xlogy"](b, y, y)
    return _reduced(b, b.op("subtract", entropy, b.op("multiply", y, x)), reduction)


def _likelihood(
    b: Builder, self: Value, target: Value, weight: Any = None, reduction: int = 1,
    ignore_index: int = -100,
) -> Value:  # fmt: skip
    """-self[target] of log probabilities [N, C, ...], weighted by class; ignored ones count 0."""
    at = axis(self, 1 if self.tensor.rank > 1 else 0)
    kept = b.op("not_equal", target, ignore_index)
    index = b.op("where", kept, target, _filled(b, target, 0))
    found = squeeze(b, b.op("gather", self, expand_dims(b, index, at), axis=at), at)
    one = _filled(b, found, 1) if weight is None else b.op("take", weight, index, axis=0)
    share = b.op("where", kept, one, _filled(b, one, 0))
    loss = b.op("negative", b.op("multiply", found, share))
    if _REDUCTIONS[reduction] != "mean":
        return _reduced(b, loss, reduction)
    return b.op("divide", _reduced(b, loss, 2), _reduced(b, share, 2))


def _cross_entropy(
    b: Builder, self: Value, target: Value, weight: Any = None, reduction: int = 1,
    ignore_index: int = -100, label_smoothing: float = 0.0,
) -> Value:  # fmt: skip
    need(label_smoothing == 0, "cross_entropy_loss with label smoothing", "compute it outside")
    classes = target.tensor.dtype.is_integer and target.tensor.dtype is not DType.bool
    need(classes, "cross_entropy_loss of probabilities", "compute it outside")
    at = axis(self, 1 if self.tensor.rank > 1 else 0)
    logs = b.op("log_softmax", self, axis=at)
    return _likelihood(b, logs, target, weight, reduction, ignore_index)


ROWS: dict[str, Row] = {
    "mse_loss": _of_gap(lambda b, gap: b.op("square", gap)),
    "l1_loss": _of_gap(lambda b, gap: b.op("abs", gap)),
    "smooth_l1_loss": _of_gap(_smooth_l1),
    "huber_loss": _of_gap(_huber),
    "binary_cross_entropy": _binary,
    "binary_cross_entropy_with_logits": _binary_of_logits,
    "kl_div": _divergence,
    "nll_loss": _likelihood,
    "nll_loss_nd": _likelihood,
    "nll_loss2d": _likelihood,
    "cross_entropy_loss": _cross_entropy,
}
