"""One layer: attention and MLP side by side on one norm.

    y = x + attention(n) + mlp(n),   n = rmsnorm(x),   mlp(n) = W_down (silu(W_gate n) * (W_up n))

Split in two, so that whoever reads overlapping contexts can keep what a token comes to before it looks at
others.

B  batch     T  segments     C  channels     D  width     Q  segments asked for, the last of T

Source: Carzaniga 2025, arXiv:2506.20354. Released checkpoints carry a second norm, which is not used.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from models.mvpa.attention import MVPAttention
from models.mvpa.config import MVPAConfig
from models.mvpa.encoder import EPSILON


class GatedMLP(nn.Module):
    """SwiGLU without biases."""

    def __init__(self, config: MVPAConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.inner, bias=False)
        self.up_proj = nn.Linear(config.width, config.inner, bias=False)
        self.down_proj = nn.Linear(config.inner, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (..., D) to (..., D)."""
        y: Tensor = self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return y


@dataclass(frozen=True)
class Projected:
    """Tokens before a layer's attention: x and inner, the MLP's output, (B, Q, C, D), with W_q x and W_c x.

    `query` (B, Q, C, D) of the segments asked for, `both` keys and values (B, T, C, 2 KV d) of all.
    """

    x: Tensor
    query: Tensor
    both: Tensor
    inner: Tensor

    def last(self, asked: int) -> Projected:
        """Of the last `asked` segments only."""
        first = self.x.shape[1] - asked
        return Projected(self.x[:, first:], self.query[:, first:], self.both, self.inner[:, first:])


class Layer(nn.Module):
    """One parallel block."""

    def __init__(self, config: MVPAConfig) -> None:
        super().__init__()
        self.ln_1 = nn.RMSNorm(config.width, eps=EPSILON)
        self.attn = MVPAttention(config)
        self.mlp = GatedMLP(config)

    def forward(
        self, x: Tensor, positions: Tensor, channels: Tensor, missing: Tensor | None, asked: int
    ) -> Tensor:
        """x (B, T, C, D) to (B, Q, C, D) of the last Q = `asked` segments."""
        return self.mix(self.project(x, asked), positions, channels, missing)

    def project(self, x: Tensor, asked: int) -> Projected:
        """All that a token comes to before it looks at others."""
        normed, first = self.ln_1(x), x.shape[1] - asked
        last = normed[:, first:]
        return Projected(x[:, first:], self.attn.q_attn(last), self.attn.c_attn(normed), self.mlp(last))

    def mix(self, own: Projected, positions: Tensor, channels: Tensor, missing: Tensor | None) -> Tensor:
        """The rest of `forward`."""
        seen = self.attn.attend(own.query, own.both, positions, channels, missing)
        y: Tensor = own.x + seen + own.inner
        return y
