"""Small modules with packed sequences, and inputs for them: random lengths, or the ones given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pad_packed_sequence,
)

IN, HIDDEN = 4, 5


class Packs(nn.Module):
    """Packs, runs a recurrent layer, and pads again: with all options of torch."""

    def __init__(
        self,
        kind: type[nn.RNNBase] = nn.LSTM,
        *,
        batch_first: bool = True,
        sorted: bool = False,
        total: bool = False,
        padding: float = 0.0,
        state: bool = False,
        **options: Any,
    ):
        super().__init__()
        torch.manual_seed(0)
        self.rnn = kind(IN, HIDDEN, batch_first=batch_first, **options)
        self.batch_first, self.sorted, self.total = batch_first, sorted, total
        self.padding, self.state = padding, state

    def pack(self, x, lengths):
        return pack_padded_sequence(x, lengths, self.batch_first, self.sorted)

    def pad(self, y, x):
        total = x.shape[1 if self.batch_first else 0] if self.total else None
        return pad_packed_sequence(y, self.batch_first, self.padding, total)

    def between(self, packed):
        return packed

    def forward(self, x, lengths, *state):
        given = (state if len(state) > 1 else state[0],) if self.state else ()
        y, last = self.rnn(self.between(self.pack(x, lengths)), *given)
        y, again = self.pad(y, x)
        return y, last, again

    def inputs(self, rows: int, steps: int, lengths=None) -> tuple[torch.Tensor, ...]:
        x = torch.randn(rows, steps, IN) if self.batch_first else torch.randn(steps, rows, IN)
        n = torch.randint(1, steps + 1, (rows,)) if lengths is None else torch.tensor(lengths)
        n = n.sort(descending=True)[0] if self.sorted else n
        count = self.rnn.num_layers * (2 if self.rnn.bidirectional else 1)
        sizes = [self.rnn.proj_size or HIDDEN, HIDDEN][: 2 if isinstance(self.rnn, nn.LSTM) else 1]
        states = [torch.randn(count, rows, s) for s in sizes] if self.state else []
        return x, n, *states


class OnRows(Packs):
    """What a model does to the packed rows themselves."""

    def __init__(self, function: Callable[[Any], Any] | None = None, **options: Any):
        super().__init__(**options)
        self.linear, self.norm = nn.Linear(IN, IN), nn.LayerNorm(IN)
        self.function = function

    def between(self, packed):
        data = packed.data
        if self.function is not None:
            return PackedSequence(self.function(data), *packed[1:])
        return PackedSequence(torch.tanh(self.norm(self.linear(data))), *packed[1:])


class Tagger(Packs):
    """Two layers of different kinds on one packed sequence of words."""

    def __init__(self):
        super().__init__(bidirectional=True)
        self.words = nn.Embedding(9, IN)
        self.upper = nn.GRU(2 * HIDDEN, 3, batch_first=True)
        self.tags = nn.Linear(3, 7)

    def forward(self, words, lengths):
        y, _ = self.rnn(self.pack(self.words(words), lengths))
        y, last = self.upper(PackedSequence(torch.dropout(y.data, 0.3, False), *y[1:]))
        y, _ = pad_packed_sequence(y, batch_first=True)
        return self.tags(y), last

    def inputs(self, rows, steps, lengths=None):
        x, n = super().inputs(rows, steps, lengths)
        return torch.randint(0, 9, x.shape[:2]), n


class LastOutput(Packs):
    def forward(self, x, lengths):
        y, _ = self.rnn(self.pack(x, lengths))
        y, _ = self.pad(y, x)
        return y[torch.arange(x.shape[0]), lengths - 1], y.max(1)[0]


class SortsItself(Packs):
    """As models did before torch could sort."""

    def __init__(self):
        super().__init__(bidirectional=True, total=True)

    def forward(self, x, lengths):
        lengths, order = lengths.sort(0, descending=True)
        y, (h, _) = self.rnn(pack_padded_sequence(x[order], lengths, batch_first=True))
        y, _ = self.pad(y, x)
        _, back = order.sort(0)
        return y[back], h[:, back].transpose(0, 1)


class IntoZeros(Packs):
    def forward(self, x, lengths):
        y, _ = self.rnn(self.pack(x, lengths))
        y = self.pad(y, x)[0].transpose(-1, -2)
        zeros = torch.zeros(x.shape[0], y.shape[1], x.shape[1])
        zeros[:, :, : y.shape[-1]] = y
        return zeros


class AddsInput(Packs):
    """Takes for granted that one row is as long as the batch."""

    def forward(self, x, lengths):
        y, _ = self.rnn(self.pack(x, lengths))
        return self.pad(y, x)[0][..., :IN] + x

    def inputs(self, rows, steps, lengths=None):
        x, n = super().inputs(rows, steps, lengths)
        n[0] = steps
        return x, n


class KnownLengths(Packs):
    def __init__(self, lengths: list[int], **options: Any):
        super().__init__(**options)
        self.lengths = lengths

    def forward(self, x):
        y, last = self.rnn(self.pack(x, self.lengths))
        return self.pad(y, x), last

    def inputs(self, rows, steps, lengths=None):
        return (torch.randn(len(self.lengths), max(steps, max(self.lengths)), IN),)


class AllSteps(Packs):
    """Lengths that are those of the batch."""

    def forward(self, x):
        lengths = torch.full((x.shape[0],), x.shape[1])
        y, last = self.rnn(self.pack(x, lengths))
        return self.pad(y, x), last

    def inputs(self, rows, steps, lengths=None):
        return super().inputs(rows, steps)[:1]


class LongTotal(Packs):
    def pad(self, y, x):
        return pad_packed_sequence(y, batch_first=True, total_length=30, padding_value=-1.0)


class ByMask(Packs):
    """Lengths that a mask counts; the last states of both ways side by side."""

    def forward(self, x, mask):
        y, (h, _) = self.rnn(self.pack(x, mask.sum(1)))
        return self.pad(y, x)[0], torch.cat([h[-2], h[-1]], -1)

    def inputs(self, rows, steps, lengths=None):
        x, n = super().inputs(rows, steps, lengths)
        return x, torch.arange(steps)[None] < n[:, None]


class NoLayer(Packs):
    """Packs and pads, and no recurrent layer in between."""

    def forward(self, x, lengths):
        packed = self.pack(x, lengths)
        rows = torch.cat([packed.data, packed.data * 2], -1).softmax(-1)
        both = PackedSequence(rows, *packed[1:])
        return pad_packed_sequence(both, True, 7.0), pad_packed_sequence(packed)


class Attends(Packs):
    """Attention over the outputs, masked by the lengths that come back."""

    def __init__(self):
        super().__init__(nn.GRU, bidirectional=True)
        self.score = nn.Linear(2 * HIDDEN, 1)

    def forward(self, x, lengths):
        y, h = self.rnn(self.pack(x, lengths))
        y, lengths = self.pad(y, x)
        behind = torch.arange(y.size(1))[None] >= lengths[:, None]
        scores = self.score(y).squeeze(-1).masked_fill(behind, float("-inf"))
        context = torch.bmm(scores.softmax(-1)[:, None], y).squeeze(1)
        return torch.cat([context, h[-2], h[-1]], -1)


class RowsOut(Packs):
    """Gives the packed rows themselves."""

    def forward(self, x, lengths):
        packed = self.pack(x, lengths)
        y, _ = self.rnn(packed)
        return packed.data, y.data, y.batch_sizes


@dataclass(frozen=True)
class Kept:
    """What is left of the packing in the emitted code."""

    sort: bool = False
    read: bool = True


MODELS: dict[str, tuple[Callable[[], Packs], Kept]] = {
    "lstm both ways": (lambda: Packs(bidirectional=True), Kept()),
    "lstm time first, states": (
        lambda: Packs(batch_first=False, bidirectional=True, num_layers=2, state=True, total=True,
                      padding=-1.5),
        Kept(read=False),
    ),
    "lstm sorted, states": (lambda: Packs(sorted=True, num_layers=2, state=True), Kept()),
    "lstm projected": (lambda: Packs(bidirectional=True, proj_size=3, state=True), Kept()),
    "gru": (lambda: Packs(nn.GRU, bidirectional=True, state=True), Kept()),
    "gru sorted": (
        lambda: Packs(nn.GRU, batch_first=False, sorted=True, total=True, num_layers=2),
        Kept(read=False),
    ),
    "rnn": (lambda: Packs(nn.RNN, bidirectional=True, nonlinearity="relu"), Kept()),
    "rnn time first": (
        lambda: Packs(nn.RNN, batch_first=False, bidirectional=True, num_layers=2, state=True,
                      total=True),
        Kept(read=False),
    ),
    "rows relu": (lambda: OnRows(torch.relu), Kept()),
    "rows scaled": (lambda: OnRows(lambda d: d * 2 + 1), Kept()),
    "rows layers": (lambda: OnRows(), Kept()),
    "tagger": (Tagger, Kept()),
    "last output": (lambda: LastOutput(bidirectional=True), Kept()),
    "sorts itself": (SortsItself, Kept(read=False)),
    "into zeros": (lambda: IntoZeros(bidirectional=True), Kept(read=False)),
    "adds input": (AddsInput, Kept()),
    "known lengths": (lambda: KnownLengths([5, 3, 2], sorted=True), Kept(read=False)),
    "known unsorted": (lambda: KnownLengths([2, 5, 3], bidirectional=True), Kept(read=False)),
    "all steps": (lambda: AllSteps(bidirectional=True), Kept(read=False)),
    "long total": (LongTotal, Kept(read=False)),
    "by mask": (lambda: ByMask(bidirectional=True, total=True), Kept(read=False)),
    "no layer": (NoLayer, Kept()),
    "attends": (Attends, Kept()),
    "rows out": (lambda: RowsOut(bidirectional=True), Kept(sort=True)),
}  # fmt: skip
RUNS = [
    (3, 7, None),
    (1, 1, None),
    (1, 5, [3]),
    (4, 9, [1, 9, 9, 1]),
    (6, 3, None),
    (3, 6, [6] * 3),
]
