"""Attention block by block, forward and backward, exact, without a table of all pairs.

Forward:    o = sum over keys of p v,   p = exp(s - l),   l = log of the sum of exp(s)
Backward:   ds = p (do.v - do.o),  from which dq, dk, the two tables and the biases follow; p is computed anew

Only o and l are kept for the way back. Memory grows with T C (d + 1), never with (T C)^2. Any device: on a
GPU the blocks are the same and the products are its own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.mvpa.blocks import Block, Keys, Span, far_chunks, parts, span


def attend(query: Tensor, keys: Keys, bias: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Outputs (G, R, Q, C, d) and log-sums (G, R, Q, C) of queries (G, R, Q, C, d) of the last Q segments.

    `bias` (3, G, d): u, v, w. A query all of whose keys are missing gives 0, and a log-sum of infinity.
    """
    groups, heads, asked, channels, width = query.shape
    segments = keys.key.shape[1]
    out, log_sum = torch.empty_like(query), query.new_empty(query.shape[:-1])
    for index in range(asked):
        where = span(segments - asked + index, segments, window, masked=keys.missing is not None)
        for start, stop in parts(groups, heads * channels, (where.end - where.dense) * channels):
            at = query[start:stop, :, index] / width**0.5
            block = Block(at, bias[:, start:stop] / width**0.5, keys.part(start, stop), where)
            found, sums = _outputs(block)
            out[start:stop, :, index] = found.view_as(at)
            log_sum[start:stop, :, index] = sums.view(at.shape[:-1])
    return out, log_sum


def _outputs(block: Block) -> tuple[Tensor, Tensor]:
    """Outputs (G, R C, d) and log-sums (G, R C) of one block."""
    scores, where = block.near(), block.where
    top = block.top(scores)
    weight = scores.flatten(2).sub_(top[..., None]).exp_()
    out, total = weight @ block.keys.segments(where.dense, where.end)[1], weight.sum(-1)
    if where.dense:
        along_time, along_channel = block.far(top)
        total += along_time.sum(-1) * along_channel.sum(-1)
        for start, stop in far_chunks(where, block.groups * block.rows, block.channels):
            weight = (along_time[:, :, start:stop, None] * along_channel[:, :, None]).flatten(2)
            out.baddbmm_(weight, block.keys.segments(start, stop)[1])
    none = total == 0.0
    out /= total.masked_fill(none, 1.0)[..., None]
    return out, (top + total.log()).masked_fill_(none, torch.inf)


class _Gradients:
    """Where the blocks of a backward pass add up."""

    def __init__(self, query: Tensor, keys: Keys, bias: Tensor) -> None:
        self.query = torch.empty_like(query)
        self.key, self.value = torch.zeros_like(keys.key), torch.zeros_like(keys.value)
        self.time, self.channel = torch.zeros_like(keys.time), torch.zeros_like(keys.channel)
        self.bias = torch.zeros_like(bias)


class _BlockGradient:
    """The gradients of one block: `grad` and `out` (G, R C, d), `log_sum` (G, R C)."""

    def __init__(self, block: Block, grad: Tensor, out: Tensor, log_sum: Tensor) -> None:
        self.block, self.grad, self.log_sum = block, grad, log_sum
        self.level = (grad * out).sum(-1, keepdim=True)  # do.o
        self.time, self.channel = torch.zeros_like(block.time), torch.zeros_like(block.channel)
        self.content = torch.zeros_like(grad)

    def _scores(self, weight: Tensor, start: int, stop: int, value: Tensor) -> Tensor:
        """ds of the segments from `start` to `stop`, whose gradients of values are added to `value`."""
        _, values = self.block.keys.segments(start, stop)
        value[:, start:stop] += (weight.mT @ self.grad).view_as(value[:, start:stop])
        slope = (self.grad @ values.mT).sub_(self.level).mul_(weight)  # (G, R C, tokens)
        by_segment = slope.view(*slope.shape[:-1], stop - start, -1)
        self.time[:, :, start:stop] += by_segment.sum(-1)
        self.channel += by_segment.sum(-2)
        return slope

    def near(self, key: Tensor, value: Tensor) -> None:
        """Add what comes by the near keys."""
        block, where = self.block, self.block.where
        weight = block.near().flatten(2).sub_(self.log_sum[..., None]).exp_()
        slope = self._scores(weight, where.dense, where.end, value)
        slope = slope[:, :, (where.content - where.dense) * block.channels :]
        keys, _ = block.keys.segments(where.content, where.end)
        self.content += slope @ keys
        into = key[:, where.content : where.end]
        into += (slope.mT @ block.by_content).view_as(into)

    def far(self, value: Tensor) -> None:
        """Add what comes by the far keys."""
        block = self.block
        along_time, along_channel = block.far(self.log_sum)
        for start, stop in far_chunks(block.where, block.groups * block.rows, block.channels):
            weight = (along_time[:, :, start:stop, None] * along_channel[:, :, None]).flatten(2)
            self._scores(weight, start, stop, value)


def _add(into: _Gradients, found: _BlockGradient, index: int, start: int, stop: int, where: Span) -> None:
    """Add one block's gradients to all: what `query` and `bias` get is of the numbers over sqrt(d)."""
    block, scale = found.block, 1.0 / found.grad.shape[-1] ** 0.5
    by_distance = block.gathered(found.channel)
    by_time, by_channel = found.time @ block.time_rows, by_distance @ block.keys.channel
    for which, slope in enumerate((found.content, by_time, by_channel)):
        into.bias[which, start:stop] += scale * slope.sum(1)
    query = scale * (found.content + by_time + by_channel)
    into.query[start:stop, :, index] = query.view_as(into.query[start:stop, :, index])
    into.time[start:stop, where.first_lag :] += found.time.mT @ block.by_time
    into.channel[start:stop] += by_distance.mT @ block.by_channel


def backpropagate(
    grad: Tensor, query: Tensor, keys: Keys, bias: Tensor, out: Tensor, log_sum: Tensor, window: int
) -> _Gradients:
    """The gradients of `attend`'s outputs times `grad`, shapes as there."""
    groups, heads, asked, channels, width = query.shape
    segments, into = keys.key.shape[1], _Gradients(query, keys, bias)
    for index in range(asked):
        where = span(segments - asked + index, segments, window, masked=keys.missing is not None)
        for start, stop in parts(groups, heads * channels, (where.end - where.dense) * channels):
            at = query[start:stop, :, index] / width**0.5
            block = Block(at, bias[:, start:stop] / width**0.5, keys.part(start, stop), where)
            rows = (one[start:stop, :, index].flatten(1, 2) for one in (grad, out, log_sum))
            found = _BlockGradient(block, *rows)
            found.near(into.key[start:stop], into.value[start:stop])
            found.far(into.value[start:stop])
            _add(into, found, index, start, stop, where)
    return into


class BlockedAttention(torch.autograd.Function):
    """`attend` in torch's graph."""

    @staticmethod
    def forward(
        context: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        time: Tensor,
        channel: Tensor,
        bias: Tensor,
        missing: Tensor | None,
        window: int,
    ) -> Tensor:
        """Shapes as `attend` and `Keys`."""
        out, log_sum = attend(query, Keys(key, value, time, channel, missing), bias, window)
        context.save_for_backward(query, key, value, time, channel, bias, missing, out, log_sum)
        context.window = window
        return out

    @staticmethod
    @once_differentiable
    def backward(context: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """One gradient for each argument of `forward`."""
        query, key, value, time, channel, bias, missing, out, log_sum = context.saved_tensors
        keys = Keys(key, value, time, channel, missing)
        found = backpropagate(grad, query, keys, bias, out, log_sum, context.window)
        return (
            found.query,
            found.key,
            found.value,
            found.time,
            found.channel,
            found.bias,
            None,
            None,
        )
