"""Multi-variate parallel attention: every token of every channel and segment, by content, time and space.

    q = W_q x,   [k | v] = W_c x,   r_T = W_T p,   r_C = W_S e        p, e the codebooks of time and channels
    s(t, c; t', c') = (q + u).k keep(t, t') + (q + v).r_T[T-1-(t-t')] + (q + w).r_C[C-1-|c-c'|]
    o = W_o (sum over t' <= t and all c' of softmax(s / sqrt(d)) v)

keep = 1 where t - t' <= `content_window` or t is the last segment, else 0: older contents are not compared,
but such tokens are still seen, by their time and place. Query head h uses key head h // (H / KV). Exact, and
never a table of all pairs: in blocks (`models.mvpa.blocked`), on a GPU in one kernel (`models.mvpa.fused`).

    B  batch     T  segments     C  channels     D  width     H, KV  query and key heads     R  H / KV
    d  D / H     Q  segments asked for, the last of T

Source: Carzaniga 2025, arXiv:2506.20354. Theirs holds three tables of (T C)^2 scores, or needs a GPU. A
mask of missing tokens is ours: such a token is nobody's key.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.clinical.errors import InvalidInput
from models.mvpa import fused
from models.mvpa.adapters import AdaptedLinear
from models.mvpa.blocked import BlockedAttention
from models.mvpa.blocks import Keys
from models.mvpa.config import MVPAConfig


class MVPAttention(nn.Module):
    """The attention of one layer. Names of weights are those of the released checkpoints."""

    def __init__(self, config: MVPAConfig) -> None:
        super().__init__()
        self.config = config
        width, keys, rank, alpha = config.width, config.key_width, config.lora_rank, config.lora_alpha
        self.q_attn = AdaptedLinear(width, width, rank=rank, alpha=alpha, rows=width)
        self.c_attn = AdaptedLinear(width, 2 * keys, rank=rank, alpha=alpha, rows=keys)  # of values alone
        self.position_net = nn.Linear(width, keys, bias=False)
        self.channel_net = nn.Linear(width, keys, bias=False)
        self.c_proj = nn.Linear(width, width, bias=False)
        self.attn_bias = nn.Parameter(torch.zeros(3 * keys))  # u, v, w of all key heads, one after another

    def forward(
        self,
        hidden: Tensor,
        positions: Tensor,
        channels: Tensor,
        missing: Tensor | None = None,
        asked: int | None = None,
    ) -> Tensor:
        """Hidden (B, T, C, D) to outputs (B, Q, C, D) of the last Q = `asked` segments, of all T by default.

        `positions` (>= T, D) and `channels` (>= C, D) are the codebooks, of which the first T and C rows
        are used. `missing` (B, T, C) bool is True where there is no token: nobody sees it; a query that
        sees nobody gets 0. Raises InvalidInput where shapes do not fit.
        """
        segments = _checked(hidden, self.config.width)
        asked = segments if asked is None else asked
        query = self.q_attn(hidden[:, segments - asked :])
        return self.attend(query, self.c_attn(hidden), positions, channels, missing)

    def attend(
        self, query: Tensor, both: Tensor, positions: Tensor, channels: Tensor, missing: Tensor | None
    ) -> Tensor:
        """`forward` of W_q x (B, Q, C, D) and W_c x (B, T, C, 2 KV d), which may have been kept."""
        queries, keys, bias = self.problem(query, both, positions, channels, missing)
        with torch.autocast(query.device.type, enabled=False):  # sums of exponentials stay in full precision
            out = _attended(queries, keys, bias, self.config.content_window)  # (B KV, R, Q, C, d)
        out = out.view(len(query), -1, *out.shape[1:]).permute(0, 3, 4, 1, 2, 5)  # (B, Q, C, KV, R, d)
        projected: Tensor = self.c_proj(out.reshape(query.shape))
        return projected

    def problem(
        self, query: Tensor, both: Tensor, positions: Tensor, channels: Tensor, missing: Tensor | None
    ) -> tuple[Tensor, Keys, Tensor]:
        """What `models.mvpa.blocked.attend` takes: queries (B KV, R, Q, C, d), keys, biases (3, B KV, d)."""
        batch, segments, count, _ = both.shape
        _check_codebook("positional", positions, segments, self.config.width)
        _check_codebook("channel", channels, count, self.config.width)
        _check_missing(missing, both)
        heads, kind = self.config.key_heads, self.attn_bias.dtype  # under autocast products come in another
        queries = query.to(kind).view(*query.shape[:3], heads, -1, self.config.head_width)
        pair = both.to(kind).view(batch, segments, count, 2, heads, -1).permute(3, 0, 4, 1, 2, 5)
        key, value = pair.flatten(1, 2)  # (2, B KV, T, C, d)
        keys = Keys(
            key,
            value,
            self._table(self.position_net, positions[:segments], batch).to(kind),
            self._table(self.channel_net, channels[:count], batch).to(kind),
            None if missing is None else missing.repeat_interleave(heads, dim=0),
        )
        bias = self.attn_bias.view(3, heads, -1).repeat(1, batch, 1)  # (3, B KV, d)
        return queries.permute(0, 3, 4, 1, 2, 5).flatten(0, 1), keys, bias

    def _table(self, net: nn.Linear, codebook: Tensor, batch: int) -> Tensor:
        rows: Tensor = net(codebook).view(len(codebook), self.config.key_heads, -1).transpose(0, 1)
        return rows.repeat(batch, 1, 1)  # (B KV, rows, d)


def _attended(queries: Tensor, keys: Keys, bias: Tensor, window: int) -> Tensor:
    """In the fused kernel where there is one for these queries, else in blocks."""
    if fused.fits(queries):
        return fused.attend(queries, keys, bias, window)
    given = (queries, keys.key, keys.value, keys.time, keys.channel, bias, keys.missing, window)
    out: Tensor = BlockedAttention.apply(*given)  # type: ignore[no-untyped-call]
    return out


def _checked(hidden: Tensor, width: int) -> int:
    """T of hidden (B, T, C, D)."""
    if hidden.ndim != 4 or hidden.shape[-1] != width or 0 in hidden.shape:  # noqa: PLR2004 B, T, C, D
        raise InvalidInput(
            f"hidden has shape {tuple(hidden.shape)}, not (B, T, C, {width}) with none of them 0",
            value=tuple(hidden.shape),
            bound=f"(B, T, C, {width})",
        )
    return hidden.shape[1]


def _check_codebook(name: str, codebook: Tensor, needed: int, width: int) -> None:
    if codebook.ndim != 2 or codebook.shape[1] != width or len(codebook) < needed:  # noqa: PLR2004 rows, D
        raise InvalidInput(
            f"the {name} codebook has shape {tuple(codebook.shape)}, not (at least {needed}, {width})",
            value=tuple(codebook.shape),
            bound=f"(>= {needed}, {width})",
        )


def _check_missing(missing: Tensor | None, hidden: Tensor) -> None:
    if missing is not None and (missing.shape != hidden.shape[:3] or missing.dtype != torch.bool):
        raise InvalidInput(
            f"missing is {missing.dtype} {tuple(missing.shape)}, not bool {tuple(hidden.shape[:3])}",
            value=tuple(missing.shape),
            bound=f"bool {tuple(hidden.shape[:3])}",
        )
