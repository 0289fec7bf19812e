"""What a gap between two times says of the times inside it.

Given the whole state at a, the left end of a gap a .. b, the process at t inside is

    f(t) = sight(t) x(a) + new(t)        sight(t) = h^T F(t - a)
    cov(new(t), new(t')) = h^T Q(t - a) F(t' - t)^T h,  t <= t'      task covariance left out
    cov(x(b), new(t)) = onward(t) = F(b - t) Q(t - a) h

The filter takes blocks of observations in by it, and draws bridge the gap with it.

    k  times in the gap    D  temporal states    S  components
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.mgp.statespace import StateSpace, process_noise, transition

Floats = npt.NDArray[np.float64]

FADED = 1e-200  # below it a decay has no digits left to divide by


class Spans(NamedTuple):
    """`sight`, `noise` h^T Q(t - a) and `onward`, (k, D) each; `decay` exp(-rate (t - a)) (k, S)."""

    sight: Floats
    noise: Floats
    onward: Floats
    decay: Floats


@compiled
def spans(space: StateSpace, since_hours: Floats, until_hours: Floats) -> Spans:
    """The spans of times (k,) so many hours after the left end of their gap and before the right one."""
    count, states, components = len(since_hours), len(space.component), len(space.rate)
    tables, decay = np.zeros((3, count, states)), np.empty((count, components))
    rate, sight, noise, onward = space.rate, tables[0], tables[1], tables[2]
    for i in range(count):
        for s in range(components):
            x = rate[s] * since_hours[i]
            decay[i, s] = np.exp(-x)
            if components == states:  # Matern-1/2 alone
                sight[i, s], noise[i, s] = decay[i, s], -np.expm1(-2.0 * x)
                onward[i, s] = np.exp(-rate[s] * until_hours[i]) * noise[i, s]
    if components < states:
        _see(space, since_hours, until_hours, sight, noise, onward)
    return Spans(sight, noise, onward, decay)


@compiled
def _see(
    space: StateSpace, since_hours: Floats, until_hours: Floats, sight: Floats, noise: Floats, onward: Floats
) -> None:
    """Sight, noise and onward (k, D) of components of any order."""
    states = len(space.component)
    step, driven = np.empty((states, states)), np.empty((states, states))
    for i in range(len(since_hours)):
        transition(space, since_hours[i], step)
        process_noise(space, since_hours[i], driven)
        for c in range(states):
            first = space.start[space.component[c]]
            sight[i, c], noise[i, c] = step[first, c], driven[first, c]
        transition(space, until_hours[i], step)
        for c in range(states):
            for b in range(states):
                onward[i, c] += step[c, b] * noise[i, b]


@compiled
def covariances(
    space: StateSpace, since_hours: Floats, inside: Spans, first: int, stop: int, out: Floats
) -> None:
    """cov(new(t_i), new(t_j)) of every component for rows first .. stop - 1 of one gap into `out`
    (S, n, ...): row i, column j - first, j <= i.
    """
    noise, decay = inside.noise, inside.decay
    for s in range(len(out)):
        lead, order, rate = space.start[s], space.order[s], space.rate[s]
        for i in range(first, stop):
            for j in range(first, i + 1):
                early, late = (j, i) if since_hours[j] <= since_hours[i] else (i, j)
                # a quotient costs less than an exponential
                decayed = decay[late, s] / decay[early, s]
                x = rate * (since_hours[late] - since_hours[early])
                if decay[early, s] < FADED:
                    decayed = np.exp(-x)
                total = noise[early, lead]
                if order == 2:  # noqa: PLR2004  h^T F of a gap, as `transition` has it
                    total = total * (1.0 + x) + noise[early, lead + 1] * x
                elif order == 3:  # noqa: PLR2004
                    square = 0.5 * x * x
                    total = total * (1.0 + x + square) + noise[early, lead + 1] * (x + x * x)
                    total += noise[early, lead + 2] * square
                out[s, i, j - first] = decayed * total
