"""Derivatives of what a state space is made of: noise over a gap, and Cholesky factors.

Whatever depends on a component's rate has one tangent, marked by a dash, with A, F and Q of `statespace`:

    F' = gap A F          Q' = gap c F[:, last] F[:, last]^T, c the power of the driving noise
    C' from C C^T = Q

Where a variable depends on those before it, its column of a factor is zero and stays zero.

    D  temporal states    S  components    k  rows of a factor

Source: Murray 2016 (arXiv:1602.07527) for Cholesky factors.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.mgp.products import add
from models.mgp.statespace import StateSpace

Floats = npt.NDArray[np.float64]


@compiled
def reverse_factor(factor: Floats, factor_bar: Floats) -> Floats:
    """The derivative by a covariance (k, k), on and below its diagonal, from that by its lower factor."""
    bar, out = factor_bar.copy(), np.zeros_like(factor)
    for j in range(len(factor) - 1, -1, -1):
        if factor[j, j] <= 0.0:
            continue
        for i in range(j + 1, len(factor)):
            out[i, j] = bar[i, j] / factor[j, j]
            bar[j, j] -= out[i, j] * factor[i, j]
            add(bar[i, :j], -out[i, j], factor[j, :j])
            add(bar[j, :j], -out[i, j], factor[i, :j])
        out[j, j] = bar[j, j] / (2.0 * factor[j, j])
        add(bar[j, :j], -2.0 * out[j, j], factor[j, :j])
    return out


@compiled
def noise_slope(space: StateSpace, gap_hours: float, step: Floats) -> Floats:
    """Q' (D, D) after a gap with `step` F."""
    out = np.zeros_like(step)
    for s in range(len(space.start)):
        first, last = space.start[s], space.start[s] + space.order[s] - 1
        power = (2.0, 4.0, 16.0 / 3.0)[space.order[s] - 1]
        for a in range(first, last + 1):
            for b in range(first, last + 1):
                out[a, b] = gap_hours * power * step[a, last] * step[b, last]
    return out


@compiled
def factor_slope(factor: Floats, slope: Floats) -> Floats:
    """C' from C and (C C^T)', lower triangles (D, D)."""
    out = np.zeros_like(factor)
    for j in range(len(factor)):
        if factor[j, j] <= 0.0:
            continue
        for i in range(j, len(factor)):
            left = slope[i, j]
            for k in range(j):
                left -= out[i, k] * factor[j, k] + factor[i, k] * out[j, k]
            if i == j:
                out[j, j] = left / (2.0 * factor[j, j])
            else:
                out[i, j] = (left - factor[i, j] * out[j, j]) / factor[j, j]
    return out


@compiled
def product(first: Floats, second: Floats) -> Floats:
    """first @ second, (D, D)."""
    out = np.zeros_like(first)
    for a in range(len(first)):
        for b in range(len(first)):
            add(out[a], first[a, b], second[b])
    return out
