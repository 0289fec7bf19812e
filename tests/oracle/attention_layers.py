"""A layer of attention and what it is given, for the tests that compare ways to compute it."""

from __future__ import annotations

import torch
from torch import Tensor

from models.mvpa import MVPAConfig, MVPAttention

POSITIONS, CHANNELS = 40, 20


def layer(width: int, window: int, dtype: torch.dtype) -> MVPAttention:
    """Six query heads and two key heads, biases too."""
    torch.manual_seed(0)
    config = MVPAConfig(width, 1, 6, 2, 16, POSITIONS, CHANNELS, 64, content_window=window)
    made = MVPAttention(config).to(dtype)
    torch.nn.init.normal_(made.attn_bias)
    return made


def inputs(
    width: int, batch: int, segments: int, channels: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden (B, T, C, D), large enough for the softmax to be uneven, and both codebooks."""
    hidden = 3.0 * torch.randn(batch, segments, channels, width, dtype=dtype)
    positions, codes = (torch.randn(rows, width, dtype=dtype) for rows in (POSITIONS, CHANNELS))
    return hidden, positions, codes
