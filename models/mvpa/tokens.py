"""Attention among the tokens that are there, where most of a grid is empty.

    s = [q + u | (q + v).r_T by segment | (q + w).r_C by channel] . [k | whose segment | whose channel]

The scores of `models.mvpa.attention` as one product: a query has a number for every segment and one for every
channel, and a key picks its own two, with a 1 in the place of its segment and one in that of its channel.
Empty places are nobody's query and nobody's key, so the cost grows with the tokens, not with the grid.

    B  batch     T  segments of the keys     C  channels     D  width
    KV  key heads     R  query heads a key head
    d  head width     n, m  tokens asking and asked, of the batch's row that has most
    P  segments a segment asks, and rows of their codebook     X  d + T + C
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from models.mvpa.attention import MVPAttention


@dataclass(frozen=True)
class Tokens:
    """Places of a grid (T, C): `place` (B, n) = segment C + channel, `here` (B, n) False where a row of the
    batch has fewer.
    """

    place: Tensor
    here: Tensor
    channels: int

    @classmethod
    def where(cls, here: Tensor) -> Self:
        """The places of `here` (B, T, C) bool that are True, in their order."""
        flat = here.flatten(1)
        most = max(int(flat.sum(1).amax()), 1)
        place = torch.sort(flat.logical_not().to(torch.uint8), dim=1, stable=True).indices[:, :most]
        return cls(place, flat.gather(1, place), here.shape[2])

    @property
    def segment(self) -> Tensor:
        """(B, n)."""
        return self.place // self.channels

    @property
    def channel(self) -> Tensor:
        """(B, n)."""
        return self.place % self.channels

    def of(self, grid: Tensor) -> Tensor:
        """What lies at the places of a grid (B, T, C, D): (B, n, D)."""
        return grid.flatten(1, 2).gather(1, self._across(grid.shape[-1]))

    def onto(self, tokens: Tensor, segments: int) -> Tensor:
        """The adjoint of `of`: tokens (B, n, D) at their places of an empty grid (B, segments, C, D)."""
        told = tokens * self.here[..., None]
        flat = tokens.new_zeros(len(tokens), segments * self.channels, tokens.shape[-1])
        placed = flat.scatter(1, self._across(tokens.shape[-1]), told)
        return placed.view(len(tokens), segments, self.channels, -1)

    def _across(self, width: int) -> Tensor:
        return self.place[..., None].expand(-1, -1, width)


def attend(
    attention: MVPAttention, query: Tensor, both: Tensor, positions: Tensor, channels: Tensor, here: Tensor
) -> Tensor:
    """What W_o takes, (B, Q, C, D), of W_q x (B, Q, C, D) of the last Q of T segments and W_c x
    (B, T, C, 2 KV d).

    A segment asks itself and those before it, P = len(positions) in all; `channels` (C, D). `here` (B, T, C)
    says where a token is; elsewhere the output is 0.
    """
    asking, segments = query.shape[1], both.shape[1]
    asks, asked = Tokens.where(here[:, segments - asking :]), Tokens.where(here)
    lag = asks.segment[..., None] + (segments - asking - torch.arange(segments, device=query.device))
    seen = (lag >= 0) & (lag < len(positions))  # (B, n, T)
    seen = seen.gather(2, asked.segment[:, None].expand(-1, seen.shape[1], -1)) & asked.here[:, None]
    seen |= ~asks.here[..., None]  # what is not there must see somebody, to have a number at all
    key, value = (_by_head(attention, asked.of(half)) for half in both.chunk(2, dim=-1))  # (B, KV, 1, m, d)
    whose = [one_hot(asked.segment, segments), one_hot(asked.channel, asked.channels)]
    place = torch.cat(whose, dim=-1)[:, None, None].expand(-1, key.shape[1], -1, -1, -1)
    keys = torch.cat([key, place.to(key.dtype)], dim=-1)  # (B, KV, 1, m, X)
    scores = _queries(attention, asks, asks.of(query), positions, channels, lag) @ keys.mT
    share = scores.masked_fill(~seen[:, None, None], -torch.inf).softmax(-1)  # (B, KV, R, n, m)
    return asks.onto((share @ value).permute(0, 3, 1, 2, 4).flatten(2), asking)


def _queries(
    attention: MVPAttention, asks: Tokens, query: Tensor, positions: Tensor, channels: Tensor, lag: Tensor
) -> Tensor:
    """What queries (B, n, D) have of content, of each segment, `lag` (B, n, T) before theirs, and of each
    channel, over sqrt(d): (B, KV, R, n, X).
    """
    own = _by_head(attention, query)
    u, v, w = attention.attn_bias.view(3, -1, 1, 1, own.shape[-1])
    by_lag = (own + v) @ _by_head(attention, attention.position_net(positions)[None]).mT
    by_distance = (own + w) @ _by_head(attention, attention.channel_net(channels)[None]).mT
    row = (len(positions) - 1 - lag).clamp(0, len(positions) - 1)
    apart = (asks.channel[..., None] - torch.arange(asks.channels, device=query.device)).abs()
    held = [own + u, _picked(by_lag, row), _picked(by_distance, asks.channels - 1 - apart)]
    found: Tensor = torch.cat(held, dim=-1) / own.shape[-1] ** 0.5
    return found


def _picked(numbers: Tensor, row: Tensor) -> Tensor:
    """Of numbers (B, KV, R, n, P) those at `row` (B, n, X), the same for every head: (B, KV, R, n, X)."""
    return numbers.gather(-1, row[:, None, None].expand(*numbers.shape[:3], -1, -1))


def _by_head(attention: MVPAttention, tokens: Tensor) -> Tensor:
    """Tokens (B, n, KV R d), or (B, n, KV d) of keys, to (B, KV, R or 1, n, d)."""
    heads, width = attention.config.key_heads, attention.config.head_width
    return tokens.view(*tokens.shape[:2], heads, -1, width).permute(0, 2, 3, 1, 4)
