"""The attention and the network as the paper writes them down: all scores of all pairs at once.

Takes the same weights as `models.mvpa` (their modules are read, nothing of their computation is used) and
follows the formulas in the order in which they are printed: three tables of (T C)^2 scores a head, the
content masked, the sum, causality, softmax. It is the oracle of the tests and the peer in the benchmark.

B  batch   T  segments   C  channels   H  query heads   KV  key heads   d  head width   N  T C, token t C + c
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from models.mvpa.attention import MVPAttention
from models.mvpa.network import MVPFormer

EPSILON = 1e-5


def attention(
    layer: MVPAttention, hidden: Tensor, positions: Tensor, channels: Tensor, missing: Tensor | None = None
) -> Tensor:
    """Hidden (B, T, C, D) to (B, T, C, D)."""
    batch, segments, count, width = hidden.shape
    weight = probabilities(layer, hidden, positions, channels, missing)
    value = _values(layer, hidden)
    out = (weight @ value).transpose(1, 2).reshape(batch, segments, count, width)
    return out @ layer.c_proj.weight.T


def probabilities(
    layer: MVPAttention, hidden: Tensor, positions: Tensor, channels: Tensor, missing: Tensor | None = None
) -> Tensor:
    """The attention (B, H, N, N) of hidden (B, T, C, D); 0 for a query that sees nobody."""
    segments, count = hidden.shape[1:3]
    config = layer.config
    shared = config.query_heads // config.key_heads
    query = _heads(hidden.flatten(1, 2) @ layer.q_attn.weight.T, config.query_heads)  # (B, H, N, d)
    key = _heads(hidden.flatten(1, 2) @ layer.c_attn.weight[: config.key_width].T, config.key_heads)
    time = _heads(positions[:segments] @ layer.position_net.weight.T, config.key_heads)  # (KV, T, d)
    space = _heads(channels[:count] @ layer.channel_net.weight.T, config.key_heads)  # (KV, C, d)
    key, time, space = (one.repeat_interleave(shared, dim=-3) for one in (key, time, space))
    u, v, w = layer.attn_bias.view(3, config.key_heads, 1, -1).repeat_interleave(shared, dim=1)
    at, channel = torch.arange(segments).repeat_interleave(count), torch.arange(count).repeat(segments)
    lag, distance = at[:, None] - at, (channel[:, None] - channel).abs()
    keep = (lag.abs() <= config.content_window) | (at[:, None] == segments - 1)
    by_content = ((query + u) @ key.mT) * keep
    by_time = _chosen((query + v) @ time.mT, (segments - 1 - lag).clamp(0, segments - 1))
    by_channel = _chosen((query + w) @ space.mT, count - 1 - distance)
    score = (by_content + by_time + by_channel) / math.sqrt(config.head_width)
    score = score.masked_fill(lag < 0, -torch.inf)
    if missing is not None:
        score = score.masked_fill(missing.flatten(1)[:, None, None], -torch.inf)
    return torch.softmax(score, dim=-1).nan_to_num(0.0)


def _heads(x: Tensor, heads: int) -> Tensor:
    """(..., N, heads d) to (..., heads, N, d)."""
    return x.view(*x.shape[:-1], heads, -1).transpose(-2, -3)


def _values(layer: MVPAttention, hidden: Tensor) -> Tensor:
    config = layer.config
    value = _heads(hidden.flatten(1, 2) @ layer.c_attn.weight[config.key_width :].T, config.key_heads)
    return value.repeat_interleave(config.query_heads // config.key_heads, dim=-3)


def _chosen(by_row: Tensor, row: Tensor) -> Tensor:
    """Of numbers by table row (B, H, N, rows) those that belong to each pair, (B, H, N, N)."""
    return by_row.gather(-1, row.expand(*by_row.shape[:2], *row.shape))


def norm(x: Tensor, gain: Tensor) -> Tensor:
    """x over its root mean square, times gain."""
    return gain * x / torch.sqrt(x.square().mean(-1, keepdim=True) + EPSILON)


def hidden(model: MVPFormer, embeddings: Tensor, missing: Tensor | None = None) -> Tensor:
    """Embeddings (B, T, C, D) through all layers and the last norm."""
    x = embeddings
    for layer in model.layers:
        y = norm(x, layer.ln_1.weight)
        inner = functional.silu(y @ layer.mlp.gate_proj.weight.T) * (y @ layer.mlp.up_proj.weight.T)
        spread = attention(
            layer.attn, y, model.positional_embedding.weight, model.channel_embedding.weight, missing
        )
        x = x + spread + inner @ layer.mlp.down_proj.weight.T
    return norm(x, model.ln_f.weight)
