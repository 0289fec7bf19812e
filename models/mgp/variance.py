"""The smoother's variances: one pass backwards with matrices, at a cost of W^3 a grid hour.

    Lambda <- F^T Lambda F over a gap     Lambda <- (I - K h^T)^T Lambda (I - K h^T) + h h^T / S
    variance(t) = P(t)[h, h] - P(t)[h, :] Lambda(t) P(t)[:, h]        P(t), K and S the filter's

    n  observations, in order of time     T  grid hours, not decreasing
    D  temporal states     W  width (variables, padded)

Source: Bierman 1973 (doi:10.1016/0005-1098(73)90009-4), after Bryson and Frazier.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.mgp.covariance import (
    advance_covariance,
    copy_covariance,
    covariance_with,
    observe,
    prior_covariance,
)
from models.mgp.filter import Gains
from models.mgp.products import add_product, advance
from models.mgp.statespace import StateSpace, transition

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@compiled
def smoothed_variance(
    space: StateSpace, time_hours: Floats, variable: Integers, run: Gains, grid_hours: Floats
) -> Floats:
    """The variance of the process at the grid given all observations: (T, W)."""
    states, width, n = len(space.stationary), len(space.noise), len(time_hours)
    filtered = _filtered_rows(space, time_hours, variable, run, grid_hours)
    variance, step = np.empty((len(grid_hours), width)), np.eye(states)
    adjoint = np.zeros((states, width, states, width))
    ahead = np.zeros_like(adjoint)
    t = len(grid_hours) - 1
    for i in range(n - 1, -2, -1):
        while t >= 0 and (i < 0 or grid_hours[t] >= time_hours[i]):
            ahead[:] = adjoint
            if i + 1 < n:
                transition(space, time_hours[i + 1] - grid_hours[t], step)
                _advance_back(ahead, step)
            _reduce(space, filtered[t], ahead, variance[t])
            t -= 1
        if i >= 0:
            if i + 1 < n:
                _advance_back(adjoint, run.transition[i + 1])
            _unobserve(space, adjoint, run.gain[i], run.spread[i], variable[i])
    return variance


@compiled
def _filtered_rows(
    space: StateSpace, time_hours: Floats, variable: Integers, run: Gains, grid_hours: Floats
) -> Floats:
    """P(t)[h m, :] of the filter at each grid hour, for every variable m: (T, W, D, W)."""
    states, width = len(space.stationary), len(space.noise)
    rows, now = np.empty((len(grid_hours), width, states, width)), prior_covariance(space)
    ahead, step = prior_covariance(space), np.empty((states, states))
    nothing = np.empty((states, width))
    i = 0
    for t in range(len(grid_hours)):
        while i < len(time_hours) and time_hours[i] <= grid_hours[t]:
            gap = time_hours[i] - time_hours[max(i - 1, 0)]
            observe(space, now, run.transition[i], gap, variable[i], nothing)
            i += 1
        copy_covariance(now, ahead)
        if i > 0:
            gap = grid_hours[t] - time_hours[i - 1]
            transition(space, gap, step)
            advance_covariance(space, ahead, step, gap)
        for m in range(width):
            covariance_with(space, ahead, m, nothing, rows[t, m])
    return rows


@compiled
def _advance_back(adjoint: Floats, step: Floats) -> None:
    """Lambda <- F^T Lambda F, (D, W, D, W)."""
    states, width = adjoint.shape[0], adjoint.shape[1]
    for c in range(states):
        for w in range(width):
            advance(adjoint[c, w], step.T)
    advance(adjoint.reshape(states, width * states * width), step.T)


@compiled
def _unobserve(space: StateSpace, adjoint: Floats, gain: Floats, spread: float, m: int) -> None:
    """Lambda <- (I - K h^T)^T Lambda (I - K h^T) + h h^T / S: only rows and columns of variable m change."""
    states, width = gain.shape
    product, inner = np.zeros((states, width)), 1.0 / spread
    for c in range(states):
        for w in range(width):
            for b in range(states):
                row, column = adjoint[c, w, b], gain[b]
                for j in range(width):
                    product[c, w] += row[j] * column[j]
            inner += product[c, w] * gain[c, w]
    for s in range(len(space.start)):
        first = space.start[s]
        for c in range(states):
            for w in range(width):
                adjoint[c, w, first, m] -= product[c, w]
                adjoint[first, m, c, w] -= product[c, w]
    for s in range(len(space.start)):
        for z in range(len(space.start)):
            adjoint[space.start[s], m, space.start[z], m] += inner


@compiled
def _reduce(space: StateSpace, rows: Floats, adjoint: Floats, out: Floats) -> None:
    """P[h, h] - P[h, :] Lambda P[:, h] of every variable, from `rows` (W, D, W)."""
    width, states = rows.shape[0], rows.shape[1]
    product = np.empty(width)
    for m in range(width):
        total = 0.0
        for s in range(len(space.start)):
            total += rows[m, space.start[s], m]
        for c in range(states):
            product[:] = 0.0
            for b in range(states):
                add_product(rows[m, b], adjoint[b, :, c], product)
            for w in range(width):
                total -= product[w] * rows[m, c, w]
        out[m] = max(total, 0.0)
