"""Attention in one fused kernel, for a GPU: the outputs of `models.mvpa.blocked`, by torch's FlexAttention.

    s = keep (q + u).k / sqrt(d) + time[T-1-(t-t')] + channel[C-1-|c-c'|]        for t' <= t with a token
    time = (q + v).r_T / sqrt(d)        channel = (q + w).r_C / sqrt(d)

The kernel walks over the keys in tiles with a running softmax, and forms a tile's scores anew on the way
back. Beside a product with keys a score is two numbers out of tables, of which a query has T and C: memory
grows with T C (T + C), never with (T C)^2. The tables' gradients are added up in no fixed order, so two runs
agree to rounding, not to the bit. Products have the precision torch is set to, which is full by itself.

    G  groups: batch x key heads     R  query heads a key head     T  segments     C  channels
    Q  segments asked for, the last of T     d  head width

Source: Dong et al. 2024, arXiv:2412.05496.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from models.mvpa.blocks import Keys

TILE = 128  # queries and keys of a tile of the mask; the kernel's own tiles divide it
WIDTHS = (16, 128)  # a product in Triton needs 16 columns; beyond 128 smaller GPUs lack shared memory
KINDS = (torch.float32, torch.float16, torch.bfloat16)
KERNELS = 64  # kept: sizes become symbols, but gradients, a mask and a size of 1 make kernels of their own

Seen = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None, int]


def fits(query: Tensor) -> bool:
    """Whether there is a kernel for these queries (..., d): on a GPU, of a kind and a width it takes."""
    taken = query.dtype in KINDS and WIDTHS[0] <= query.shape[-1] <= WIDTHS[1]
    return query.is_cuda and taken and find_spec("triton") is not None


def attend(query: Tensor, keys: Keys, bias: Tensor, window: int) -> Tensor:
    """Outputs (G, R, Q, C, d) of queries (G, R, Q, C, d) of the last Q segments; `bias` (3, G, d): u, v, w.

    A query all of whose keys are missing gives 0.
    """
    return compiled()(*inputs(query, keys, bias), window).view(query.shape)


def inputs(query: Tensor, keys: Keys, bias: Tensor) -> Inputs:
    """What the kernel takes: (q + u) (G, R, Q C, d), keys and values (G, 1, T C, d), a query's numbers by row
    of the two tables (G, R, Q C, T) and (G, R, Q C, C), what is missing (G, T C), and how many tokens come
    before the first that asks.
    """
    asked, channels, width = query.shape[2:]
    by_content, by_time, by_channel = ((query + one[:, None, None, None]).flatten(2, 3) for one in bias)
    return (
        by_content,
        keys.key.flatten(1, 2)[:, None],
        keys.value.flatten(1, 2)[:, None],
        by_time @ keys.time[:, None].mT / width**0.5,
        by_channel @ keys.channel[:, None].mT / width**0.5,
        None if keys.missing is None else keys.missing.flatten(1),
        (keys.key.shape[1] - asked) * channels,
    )


def attended(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    time: Tensor,
    channel: Tensor,
    missing: Tensor | None,
    before: int,
    window: int,
) -> Tensor:
    """Outputs (G, R, Q C, d) of what `inputs` gives; uncompiled it writes all scores out, on any device."""
    segments, channels = time.shape[-1], channel.shape[-1]

    def score(content: Tensor, group: Tensor, head: Tensor, row: Tensor, token: Tensor) -> Tensor:
        """The score of one pair: query `row` of Q C, key `token` of T C."""
        at = (before + row) // channels
        lag, distance = at - token // channels, (row % channels - token % channels).abs()
        kept = (lag <= window) | (at == segments - 1)
        by_time = time[group, head, row, segments - 1 - lag.clamp(min=0)]
        by_channel = channel[group, head, row, channels - 1 - distance]
        return torch.where(kept, content, 0.0) + by_time + by_channel

    def seen(group: Tensor, head: Tensor, row: Tensor, token: Tensor) -> Tensor:  # noqa: ARG001 by position
        """Whether the key is not later than the query, and is there."""
        causal = token // channels <= (before + row) // channels
        return causal if missing is None else causal & ~missing[group, token]

    out: Tensor = flex_attention(
        query,
        key,
        value,
        score_mod=score,
        block_mask=tiles(seen, before, query.shape[2], channels, query.device),
        enable_gqa=True,
        kernel_options={"FORCE_USE_FLEX_ATTENTION": True},  # one kernel for few queries and for many
    )
    return out


def tiles(seen: Seen, before: int, rows: int, channels: int, device: torch.device) -> BlockMask:
    """Which tiles of keys a tile of queries looks into: all up to the last segment it asks from."""
    tokens = before + rows
    last = torch.arange(TILE - 1, rows + TILE - 1, TILE, device=device).clamp(max=rows - 1)
    end = ((before + last) // channels + 1) * channels
    every = torch.arange((tokens + TILE - 1) // TILE, dtype=torch.int32, device=device)
    return BlockMask.from_kv_blocks(
        ((end + TILE - 1) // TILE).to(torch.int32)[None, None],
        every.expand(1, 1, len(last), -1).contiguous(),
        BLOCK_SIZE=TILE,
        mask_mod=seen,
        seq_lengths=(rows, tokens),
    )


@cache
def compiled() -> Callable[..., Tensor]:
    """`attended` as one kernel, compiled when first called."""
    kernel = torch.compile(attended, fullgraph=True)
    kept: Callable[..., Tensor] = torch._dynamo.config.patch(recompile_limit=KERNELS)(kernel)
    return kept
