"""A matrix with a low-rank adapter beside it.

    y = W x + (alpha / r) B A x        A (r, in), B (rows, r): B x is added to the last `rows` outputs only

B starts at zero, so an adapter changes nothing until it learns. Source: Hu 2021, arXiv:2106.09685.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class AdaptedLinear(nn.Linear):
    """A matrix without bias; with `rank` 0 nothing else."""

    lora_A: nn.Parameter  # noqa: N815  the name in the released checkpoints
    lora_B: nn.Parameter  # noqa: N815

    def __init__(self, inputs: int, outputs: int, *, rank: int, alpha: float, rows: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.rank, self.scale, self.rows = rank, alpha / max(rank, 1), rows
        if rank:
            self.lora_A = nn.Parameter(torch.empty(rank, inputs))
            self.lora_B = nn.Parameter(torch.zeros(rows, rank))
            self.start_adapter()

    def start_adapter(self, generator: torch.Generator | None = None) -> None:
        """Draw A anew and set B to zero."""
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5), generator=generator)
        nn.init.zeros_(self.lora_B)

    def forward(self, x: Tensor) -> Tensor:
        """x (..., in) to (..., out)."""
        y = nn.functional.linear(x, self.weight)
        if not self.rank:
            return y
        added = nn.functional.linear(nn.functional.linear(x, self.lora_A), self.scale * self.lora_B)
        if self.rows == self.out_features:
            return y + added
        kept = self.out_features - self.rows
        return torch.cat([y[..., :kept], y[..., kept:] + added], dim=-1)


def merged(weight: Tensor, lora_a: Tensor, lora_b: Tensor, alpha: float) -> Tensor:
    """The matrix (out, in) that an adapter (r, in), (rows, r) on its last rows makes of `weight`."""
    scale = alpha / lora_a.shape[0]
    added = torch.zeros_like(weight)
    added[weight.shape[0] - lora_b.shape[0] :] = scale * (lora_b @ lora_a)
    return weight + added
