"""One block of scores: all heads' queries of one segment against every key up to it.

    s = (q + u).k keep(t, t') + (q + v).r_T[T-1-(t-t')] + (q + w).r_C[C-1-|c-c'|],    all over sqrt(d)
    keep(t, t') = 1 where t - t' <= window or t = T - 1, else 0

The time term does not depend on c', nor the channel term on t': a query has T numbers of the one and C of the
other, and what is between them is a sum. Where keep = 0 that sum is all there is, so there

    exp(s - top) = exp(time[t'] + (highest channel) - top) exp(channel[c'] - highest channel)

is an outer product: no product with keys, and one exponential for T + C instead of T C numbers. Such keys are
`far`; the others are `near`. With missing tokens the far keys are scored one by one too.

    G  groups: batch x key heads     R  query heads a key head     T  segments     C  channels
    d  head width
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

# scores of one block that are held at once, in numbers: few enough for a cache, enough to be worth a call
BLOCK = 1 << 20


@dataclass(frozen=True)
class Keys:
    """What queries are compared with.

    `key` and `value` (G, T, C, d); `time` (G, T, d), row T - 1 of no lag; `channel` (G, C, d), row C - 1 of
    no distance; `missing` (G, T, C), True where there is no token.
    """

    key: Tensor
    value: Tensor
    time: Tensor
    channel: Tensor
    missing: Tensor | None

    def part(self, start: int, stop: int) -> Keys:
        """The groups from `start` up to `stop`."""
        at = slice(start, stop)
        missing = None if self.missing is None else self.missing[at]
        return Keys(self.key[at], self.value[at], self.time[at], self.channel[at], missing)

    def segments(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Keys and values (G, tokens, d) of the segments from `start` up to `stop`."""
        return self.key[:, start:stop].flatten(1, 2), self.value[:, start:stop].flatten(1, 2)


@dataclass(frozen=True)
class Span:
    """Which segments a query segment sees, and how: [0, dense) far, [dense, end) near.

    Of the near ones those from `content` on are compared by content; `first_lag` is the row of `time` that
    belongs to segment 0.
    """

    dense: int
    content: int
    end: int
    first_lag: int


def span(segment: int, segments: int, window: int, *, masked: bool) -> Span:
    """What the queries of `segment` see, of `segments`."""
    content = 0 if segment == segments - 1 else max(0, segment - window)
    return Span(0 if masked else content, content, segment + 1, segments - 1 - segment)


def parts(groups: int, rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """Ranges of groups whose blocks of `rows` x `columns` fit together into `BLOCK` numbers."""
    step = max(1, BLOCK // (rows * columns))
    for start in range(0, groups, step):
        yield start, min(groups, start + step)


def far_chunks(where: Span, rows: int, channels: int) -> Iterator[tuple[int, int]]:
    """Ranges of far segments whose outer products fit into `BLOCK` numbers."""
    step = max(1, BLOCK // (rows * channels))
    for start in range(0, where.dense, step):
        yield start, min(where.dense, start + step)


class Block:
    """The queries of one segment: `query` (G, R, C, d) and `bias` (3, G, d), both over sqrt(d)."""

    def __init__(self, query: Tensor, bias: Tensor, keys: Keys, where: Span) -> None:
        self.keys, self.where = keys, where
        self.groups: int = query.shape[0]
        self.heads: int = query.shape[1]
        self.channels: int = query.shape[2]
        self.by_content, self.by_time, self.by_channel = (
            (query + one[:, None, None]).flatten(1, 2)  # (G, R C, d)
            for one in bias
        )
        self.time_rows = keys.time[:, where.first_lag :]
        self.time = self.by_time @ self.time_rows.mT  # (G, R C, end)
        by_distance = self.by_channel @ keys.channel.mT  # (G, R C, C), by row of the table
        self.channel = self.spread(by_distance)

    @property
    def rows(self) -> int:
        """Queries a group."""
        return self.heads * self.channels

    def distance_rows(self) -> Tensor:
        """The row of the channel table that belongs to query channel c and key channel c', (C, C)."""
        at = torch.arange(self.channels, device=self.keys.key.device)
        return self.channels - 1 - (at[:, None] - at).abs()

    def spread(self, by_distance: Tensor) -> Tensor:
        """Numbers by distance (G, R C, C) to numbers by key channel (G, R C, C)."""
        shape = (self.groups, self.heads, self.channels, self.channels)
        found = by_distance.view(shape).gather(-1, self.distance_rows().expand(shape))
        return found.view(self.groups, self.rows, self.channels)

    def gathered(self, by_channel: Tensor) -> Tensor:
        """The adjoint of `spread`: numbers by key channel summed by distance."""
        shape = (self.groups, self.heads, self.channels, self.channels)
        sums = torch.zeros(shape, dtype=by_channel.dtype, device=by_channel.device)
        sums.scatter_add_(-1, self.distance_rows().expand(shape), by_channel.view(shape))
        return sums.view(self.groups, self.rows, self.channels)

    def near(self) -> Tensor:
        """Scores (G, R C, near segments, C); minus infinity where a token is missing."""
        where, keys = self.where, self.keys
        scores: Tensor = self.time[:, :, where.dense :, None] + self.channel[:, :, None]
        flat = scores.flatten(2)
        compared, _ = keys.segments(where.content, where.end)
        flat[:, :, (where.content - where.dense) * self.channels :].baddbmm_(self.by_content, compared.mT)
        if keys.missing is not None:
            gone = keys.missing[:, None, where.dense : where.end]
            scores.masked_fill_(gone, -torch.inf)
        return scores

    def top(self, near: Tensor) -> Tensor:
        """The highest score (G, R C) of all keys; 0 where every key is missing."""
        highest = near.flatten(2).amax(-1)
        if self.where.dense:
            far = self.time[:, :, : self.where.dense].amax(-1) + self.channel.amax(-1)
            return torch.maximum(highest, far)
        return highest.masked_fill(highest == -torch.inf, 0.0)

    def far(self, less: Tensor) -> tuple[Tensor, Tensor]:
        """exp(score - `less`) of the far keys as an outer product: (G, R C, far segments), (G, R C, C)."""
        highest = self.channel.amax(-1)
        along_time = (self.time[:, :, : self.where.dense] + (highest - less)[..., None]).exp_()
        return along_time, (self.channel - highest[..., None]).exp_()
