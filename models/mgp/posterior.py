"""The posterior of the process at grid hours, each from what was known by that hour.

mean_t[m]     = sum_i cov(f_m(t), f_{m_i}(t_i)) alpha_t[i]
variance_t[m] = var f_m - || L_k^-1 cov(f_{m_.}(t_.), f_m(t)) ||^2

B  batch     n  observations     G  hours     M  variables
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.mgp.kernel import Kernel
from models.mgp.tiles import TILE, Factor, Observed, factorise, known_rows, span, weights, whiten


@dataclass(frozen=True)
class Posterior:
    """`mean`, `variance` (T, M) of the process itself, noise left out; `log_likelihood` of the values."""

    mean: Tensor
    variance: Tensor
    log_likelihood: float


def posterior(
    kernel: Kernel,
    time_hours: Tensor,
    variable: Tensor,
    value: Tensor,
    grid_hours: Tensor,
    *,
    known: Tensor | None = None,
) -> Posterior:
    """The exact posterior of one stay, O(n^3) once and O(n^2) an hour.

    `time_hours`, `value` (n,) and `variable` (n,) integer, in the order in which they became known;
    `grid_hours` (T,). `known` (T,) says how many observations each grid hour may use; all of them if None.
    """
    observed = pad(kernel.variables, [time_hours], [variable], [value])
    factor = factorise(kernel, observed)
    counts = torch.full(grid_hours.shape, len(value)) if known is None else known
    grid, counts = grid_hours.unsqueeze(0), counts.unsqueeze(0)
    variances = [variance(kernel, factor, m, grid, counts)[0] for m in range(kernel.variables)]
    return Posterior(
        mean(kernel, factor, grid, counts)[0],
        torch.stack(variances, dim=-1),
        float(log_likelihood(factor)[0]),
    )


def pad(
    variables: int,
    time_hours: Sequence[Tensor],
    variable: Sequence[Tensor],
    value: Sequence[Tensor],
) -> Observed:
    """Stays of different length side by side, padded to whole tiles. `variable` in [0, `variables`)."""
    rows = TILE * max((len(one) + TILE - 1) // TILE for one in value)
    dtype = value[0].dtype
    times = torch.zeros(len(value), rows, dtype=dtype)
    values = torch.zeros_like(times)
    one_hot = torch.zeros(len(value), rows, variables, dtype=dtype)
    for stay, (when, which, what) in enumerate(zip(time_hours, variable, value, strict=True)):
        times[stay, : len(what)] = when
        values[stay, : len(what)] = what
        one_hot[stay, torch.arange(len(what)), which] = 1.0
    return Observed(times, values, one_hot)


def mean(kernel: Kernel, factor: Factor, grid_hours: Tensor, known: Tensor) -> Tensor:
    """The posterior mean at `grid_hours` (B, G) from the first `known` (B, G) observations: (B, G, M)."""
    total = grid_hours.new_zeros(*grid_hours.shape, kernel.variables)
    if factor.observed.tiles == 0:
        return total
    for b, alpha in enumerate(weights(factor, known)):
        temporal = kernel.correlation(factor.observed.time_hours[:, span(b)], grid_hours)  # (S, B, 64, G)
        total = total + ((temporal * alpha).mT @ factor.coupling[b]).sum(0)
    return total


def variance(kernel: Kernel, factor: Factor, m: int, grid_hours: Tensor, known: Tensor) -> Tensor:
    """The posterior variance of variable `m` at `grid_hours` (B, G): (B, G)."""
    prior = kernel.prior_variance()[m].expand_as(grid_hours)
    columns = []
    for b in range(factor.observed.tiles):
        temporal = kernel.correlation(factor.observed.time_hours[:, span(b)], grid_hours)
        columns.append((temporal * factor.coupling[b][..., m : m + 1]).sum(0))  # (B, 64, G)
    if not columns:
        return prior
    whitened = torch.cat(whiten(factor, columns), dim=-2)
    used = torch.where(known_rows(whitened.shape[-2], known), whitened.square(), 0.0)
    return (prior - used.sum(-2)).clamp_min(0.0)


def log_likelihood(factor: Factor) -> Tensor:
    """log p(y) of each stay, (B,): -(z^T z + log det K + n log 2 pi) / 2."""
    count = factor.observed.one_hot.sum((-2, -1))
    total = -0.5 * count * float(np.log(2 * np.pi))
    for inverse, z in zip(factor.inverse, factor.whitened, strict=True):
        log_diagonal = inverse.diagonal(dim1=-2, dim2=-1).log().sum(-1)  # padding rows add log 1
        total = total - 0.5 * z.square().sum(-1) + log_diagonal
    return total
