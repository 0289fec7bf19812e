"""Why a score: what the network did not see coming, and where it looked.

    surprise[t, c] = 1 - cos(what was expected of t at t - 1, embedding of t)        0 foreseen, 2 opposite
    mass by lag[l] = mean over heads and the last segment's channels of its attention to segment T - 1 - l
    mass by distance[k] = the same of its attention to channels k places away in the montage

T  segments     C  channels     D  width     L  layers
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.clinical.errors import InvalidInput
from models.mvpa.attention import MVPAttention
from models.mvpa.blocks import Block, span
from models.mvpa.context import Layout
from models.mvpa.layer import Projected
from models.mvpa.network import MVPFormer


@dataclass(frozen=True)
class AttentionMass:
    """Each row of `by_lag` (L, T) and `by_distance` (L, C) sums to 1: lag 0 and distance 0 come first."""

    by_lag: Tensor
    by_distance: Tensor


@torch.no_grad()
def surprise(model: MVPFormer, layout: Layout) -> Tensor:
    """How far each segment of each channel was from what was expected, (T, C).

    NaN in the first segment, and where a channel is missing in a segment or in the one before. Raises
    InvalidInput where the network has no generative head or the context is not of one recording.
    """
    if model.generative is None:
        raise InvalidInput("surprise needs a generative head", value=None, bound="a generative head")
    _check_one(layout)
    expected = model.generative(model.transform_entered(layout.tokens, layout.missing))[0]  # (T, C, D)
    found = torch.full_like(expected[..., 0], torch.nan)
    came = _embeddings(model, layout)[0]
    found[1:] = 1.0 - nn.functional.cosine_similarity(expected[:-1], came[1:], dim=-1)
    if layout.missing is not None:
        gone = layout.missing[0]
        found[1:][gone[1:] | gone[:-1]] = torch.nan
    return found


@torch.no_grad()
def attention_mass(model: MVPFormer, layout: Layout) -> AttentionMass:
    """Where each layer's last segment looks; NaN where it has no channel.

    Raises InvalidInput where the context is not of one.
    """
    _check_one(layout)
    x, by_lag, by_distance = _embeddings(model, layout), [], []
    books = model.positional_embedding.weight, model.channel_embedding.weight
    for layer in model.layers:
        own = layer.project(x, x.shape[1])
        lag, distance = _mass(layer.attn, own.last(1), books, layout.missing)
        by_lag.append(lag)
        by_distance.append(distance)
        x = layer.mix(own, *books, layout.missing)
    return AttentionMass(torch.stack(by_lag), torch.stack(by_distance))


def _mass(
    attention: MVPAttention, own: Projected, books: tuple[Tensor, Tensor], missing: Tensor | None
) -> tuple[Tensor, Tensor]:
    """By lag (T,) and by distance (C,); channels missing in the last segment ask nothing."""
    query, keys, bias = attention.problem(own.query, own.both, *books, missing)
    segments, scale = own.both.shape[1], attention.config.head_width**0.5
    where = span(segments - 1, segments, attention.config.content_window, masked=missing is not None)
    block = Block(query[:, :, 0] / scale, bias / scale, keys, where)
    scores = block.near()  # the last segment compares every content, so no key is far
    weight = torch.softmax(scores.flatten(2), dim=-1).nan_to_num(0.0).view_as(scores)  # (KV, R C, T, C)
    if missing is not None:
        asks = (~missing[0, -1]).to(weight.dtype)  # (C,)
        weight = weight * (asks / asks.mean()).repeat(block.heads)[:, None, None]
    by_lag = weight.sum(-1).mean((0, 1)).flip(0)
    by_distance = block.gathered(weight.sum(-2)).mean((0, 1)).flip(0)
    return by_lag, by_distance


def _embeddings(model: MVPFormer, layout: Layout) -> Tensor:
    return layout.tokens[..., : model.config.width]


def _check_one(layout: Layout) -> None:
    count = len(layout.tokens)
    if count != 1:
        raise InvalidInput(f"{count} recordings; one is explained at a time", value=count, bound="1")
