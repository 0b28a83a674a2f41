"""Writes through views: the tensor that is viewed changes, and so does every other view of it."""

import pytest
import torch
from captures import assert_same_as_source, capture
from torch import Tensor, nn

from mlx_transpile.errors import TranspileError


def assert_functional(function, tmp_path, *inputs):
    class Model(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return function(x, y)

    inputs = inputs or (torch.randn(2, 4, 6), torch.randn(2, 6))
    assert_same_as_source(capture(Model(), tmp_path, *inputs))


def column(x, y):
    h = x * 1
    h[:, 0] = y
    return h


def copy_into_slice(x, y):
    out = torch.zeros_like(x)
    out[:, :, 1:5:2].copy_(x[:, :, :2])
    return out


def add_on_transposed(x, y):
    h = x * 1
    h.transpose(1, 2)[:, 3].add_(10)
    return h


def index_put(x, y):
    h = x * 1
    h[torch.tensor([1, 0])] = y[:, None]
    return h


def masked(x, y):
    h = x * 1
    h[h > 0] = 0.0
    h.masked_fill_(h < -1, 5.0)
    return h


def chained(x, y):
    h = x * 1
    h.permute(2, 0, 1)[1:3].select(1, 0).unsqueeze(0).squeeze(0).t().mul_(3)
    return h


def two_views(x, y):
    h = x * 1
    left, right = h[:, :3], h[:, 1:]
    left += 1
    right *= 2
    return left - h[:, :3], right, h


def view_of_a_view_is_read_again(x, y):
    h = x * 1
    row = h[0]
    cell = row[1]
    h.zero_()
    return cell + 1, row


def view_is_flat(x, y):
    h = x * 1
    h.view(2, -1)[:, ::5] = -1.0
    return h


def reshape_of_contiguous(x, y):
    h = torch.zeros(2, 4, 6) + 0
    h.reshape(-1)[3] = 7.0
    return h + x


def split_parts(x, y):
    h = x * 1
    first, second = h.split([1, 3], dim=1)
    second.copy_(first)
    a, b, c = h.chunk(3, dim=2)
    b.fill_(2)
    rows = h.unbind(0)
    rows[1].neg_()
    return h, a, c


def narrow_and_diagonal(x, y):
    h = x * 1
    h.narrow(2, 1, 3).sub_(1)
    h.diagonal(0, 1, 2).fill_(9)
    h.diagonal(1, 1, 2).copy_(y[:, :4])
    return h


def written_dtype_is_kept(x, y):
    h = torch.zeros(2, 6, dtype=torch.long)
    h.copy_(y * 3)
    h += 2
    return h


def in_place_shape(x, y):
    h = x * 1
    other = h
    other.unsqueeze_(0).transpose_(1, 2)
    h[0, 1] = 0.0
    return h


def out_argument(x, y):
    h = torch.empty(2, 4, 6)
    part = h[:, 1]
    torch.add(x, 1, out=h)
    return part, h


def clone_is_apart(x, y):
    h = x * 1
    copy = h.clone()
    same = h.to(torch.float32)
    same.add_(1)
    return copy, h


def expanded_reads_anew(x, y):
    h = y * 1
    wide = h[:, None].expand(2, 4, 6)
    h[:, 0] = 3.0
    return wide + x


def negative_index(x, y):
    h = x * 1
    h[:, -1] = y
    h[:, :, -2:] = 0
    return h


FUNCTIONS = [
    column, copy_into_slice, add_on_transposed, index_put, masked, chained, two_views, view_of_a_view_is_read_again,
    view_is_flat, reshape_of_contiguous, split_parts, narrow_and_diagonal, written_dtype_is_kept, in_place_shape,
    out_argument, clone_is_apart, expanded_reads_anew, negative_index,
]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_writes_reach_every_view(function, tmp_path):
    assert_functional(function, tmp_path)


def test_a_write_through_a_doubtful_reshape_is_refused(tmp_path):
    def doubtful(x, y):
        h = (x * 1).transpose(1, 2)
        h.reshape(-1)[3] = 7.0
        return h

    with pytest.raises(TranspileError, match="may share its memory") as error:
        assert_functional(doubtful, tmp_path)
    assert "clone" in error.value.hint


def test_a_doubtful_reshape_may_be_written_where_the_rest_is_not_read(tmp_path):
    def harmless(x, y):
        h = (x * 1).transpose(1, 2).reshape(-1)
        h[3] = 7.0
        return h

    assert_functional(harmless, tmp_path)


def test_a_written_buffer_is_refused(tmp_path):
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", torch.zeros(3))

        def forward(self, x: Tensor) -> Tensor:
            self.count[:2] += 1
            return x + self.count

    with pytest.raises(TranspileError, match="mutated buffer: add_ writes to count") as error:
        capture(Counter(), tmp_path, torch.ones(2, 3))
    assert "state" in error.value.hint
