"""Gradients of smoothed means, without reversing the smoother.

A smoothed mean is linear in what was observed, mean = K_* alpha with alpha = (K + R)^-1 y. For a loss with
the derivative g by the mean, and beta = (K + R)^-1 K_*^T g,

    d loss = g^T dK_* alpha - beta^T d(K + R) alpha + beta^T dy

so y_bar = beta, and everything else is one bilinear form of the prior kernel between the sources alpha and
the tests c = (g at the grid, -beta at the observations). Two passes over time evaluate it. With F, Pinf and h
of `statespace`, over a gap

    forwards    z <- F z  + Pinf h c        y <- F y + Pinf h (B alpha)
    backwards   w <- F^T w + h c            v <- F^T v + h (B alpha)
    B_bar    += alpha_i (h^T z + (Pinf h)^T w)^T      at each observation, every pair counted once
    rate_bar += gap (<F^T w, A y> + <F^T v, A z>)     at each gap, between w and y, and between v and z

and no covariance of a state is kept, or even made.

    n  observations, in order of time     T  grid hours, not decreasing     e = n + T  events
    R  right-hand sides     D  temporal states     W  width (variables, padded)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.mgp.blocks import Blocks, Cuts
from models.mgp.kernel_gradient import KernelGradient, add_slopes, generator
from models.mgp.products import add, advance_all, copy, dot
from models.mgp.smoother import weights
from models.mgp.statespace import StateSpace, transitions

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Events(NamedTuple):
    """Observations and grid hours in order of time: `row` (e,) is i for observation i, n + t for grid hour t;
    `gap_hours` (e,) since the event before; `transition` F (e, D, D) over it.
    """

    row: Integers
    gap_hours: Floats
    transition: Floats


@compiled
def in_order(space: StateSpace, time_hours: Floats, grid_hours: Floats) -> Events:
    """Merge `time_hours` (n,) and `grid_hours` (T,), neither decreasing."""
    n, events = len(time_hours), len(time_hours) + len(grid_hours)
    row, gap = np.empty(events, np.int64), np.zeros(events)
    i, t, before = 0, 0, 0.0
    for e in range(events):
        if i < n and (t == len(grid_hours) or time_hours[i] <= grid_hours[t]):
            row[e], now = i, time_hours[i]
            i += 1
        else:
            row[e], now = n + t, grid_hours[t]
            t += 1
        gap[e] = now - before if e else 0.0
        before = now
    return Events(row, gap, transitions(space, gap))


@compiled
def reverse_smoothed(
    space: StateSpace,
    cuts: Cuts,
    blocks: Blocks,
    time_hours: Floats,
    variable: Integers,
    weight: Floats,
    mean_bar: Floats,
    gradient: KernelGradient,
) -> Floats:
    """From `mean_bar` (T, R, W) and the smoother's `weight` alpha (n, R), value_bar (n, R); what reaches the
    kernel is added to `gradient`.
    """
    events = in_order(space, time_hours, cuts.hours[cuts.at])
    cross = np.zeros(weight.shape)
    # one right-hand side after the other: its states stay in the cache
    for r in range(weight.shape[1]):
        z = _tested(space, events, variable, cross, mean_bar, r)
        _add_cross(space, events, variable, z, mean_bar, r, cross)
    value_bar = weights(space, cuts, blocks, variable, cross)
    for r in range(weight.shape[1]):
        z = _tested(space, events, variable, value_bar, mean_bar, r)
        y = _weighted(space, events, variable, weight, r)
        _reverse_kernel(space, events, variable, weight, value_bar, mean_bar, r, z, y, gradient)
        for i in range(len(variable)):
            gradient.noise[variable[i]] -= weight[i, r] * value_bar[i, r]
    return value_bar


@compiled
def _tested(
    space: StateSpace, events: Events, variable: Integers, value_bar: Floats, mean_bar: Floats, r: int
) -> Floats:
    """z after each event, (e, D, W), of side r of `mean_bar` (T, R, W) less `value_bar` (n, R)."""
    states, width, rows, step = len(space.stationary), len(space.noise), events.row, events.transition
    out, state, arrived = np.empty((len(rows), states, width)), np.zeros((1, states, width)), _arrived(space)
    for e in range(len(rows)):
        advance_all(state, step[e])
        row = rows[e]
        for c in range(states):
            if row < len(variable):
                state[0, c, variable[row]] -= arrived[c] * value_bar[row, r]
            elif arrived[c] != 0.0:
                add(state[0, c], arrived[c], mean_bar[row - len(variable), r])
            copy(out[e, c], state[0, c])
    return out


@compiled
def _arrived(space: StateSpace) -> Floats:
    """Pinf h of every state: (D,)."""
    out = np.empty(len(space.component))
    for c in range(len(out)):
        out[c] = space.stationary[c, space.start[space.component[c]]]
    return out


@compiled
def _add_cross(
    space: StateSpace, events: Events, variable: Integers, z: Floats, mean_bar: Floats, r: int, out: Floats
) -> None:
    """K_*^T g of side r, the bilinear form of `mean_bar` with each observation, to `out` (n, R)."""
    state, arrived, rows, step = np.zeros((1, *z.shape[1:])), _arrived(space), events.row, events.transition
    start, component, task = space.start, space.component, space.covariance
    for e in range(len(rows) - 1, -1, -1):
        row = rows[e]
        if row < len(variable):
            m, total = variable[row], 0.0
            for c in range(len(component)):
                s = component[c]
                if c == start[s]:
                    total += dot(task[s, m], z[e, c])
                if arrived[c] != 0.0:
                    total += arrived[c] * dot(task[s, m], state[0, c])
            out[row, r] += total
        else:
            for first in start:
                add(state[0, first], 1.0, mean_bar[row - len(variable), r])
        advance_all(state, step[e].T)


@compiled
def _weighted(space: StateSpace, events: Events, variable: Integers, weight: Floats, r: int) -> Floats:
    """y after each event, (e, D, W), of side r of `weight` (n, R)."""
    states, width, rows, step = len(space.stationary), len(space.noise), events.row, events.transition
    out, state, arrived = np.empty((len(rows), states, width)), np.zeros((1, states, width)), _arrived(space)
    component, task = space.component, space.covariance
    for e in range(len(rows)):
        advance_all(state, step[e])
        row = rows[e]
        for c in range(states):
            if row < len(variable) and arrived[c] != 0.0:
                add(state[0, c], arrived[c] * weight[row, r], task[component[c], variable[row]])
            copy(out[e, c], state[0, c])
    return out


@compiled
def _reverse_kernel(
    space: StateSpace,
    events: Events,
    variable: Integers,
    weight: Floats,
    value_bar: Floats,
    mean_bar: Floats,
    r: int,
    z: Floats,
    y: Floats,
    gradient: KernelGradient,
) -> None:
    """The passes w and v of right-hand side r: B and the rates get their share."""
    w, v, shift = np.zeros((1, *z.shape[1:])), np.zeros((1, *z.shape[1:])), generator(space)
    # taken out of their tuples once: to take one out costs more than a row of arithmetic
    start, component, task, arrived = space.start, space.component, space.covariance, _arrived(space)
    rows, gap, step = events.row, events.gap_hours, events.transition
    rate_bar, covariance_bar = gradient.rate, gradient.covariance
    for e in range(len(rows) - 1, -1, -1):
        row = rows[e]
        if row < len(variable):
            m, alpha = variable[row], weight[row, r]
            for c in range(len(component)):
                s = component[c]
                if c == start[s]:
                    add(covariance_bar[s, m], alpha, z[e, c])
                    add(v[0, c], alpha, task[s, m])
                if arrived[c] != 0.0:
                    add(covariance_bar[s, m], alpha * arrived[c], w[0, c])
            for first in start:
                w[0, first, m] -= value_bar[row, r]
        else:
            for first in start:
                add(w[0, first], 1.0, mean_bar[row - len(variable), r])
        if e > 0 and gap[e] > 0.0:
            advance_all(w, step[e].T)
            advance_all(v, step[e].T)
            add_slopes(component, shift, gap[e], w[0], y[e - 1], rate_bar)
            add_slopes(component, shift, gap[e], v[0], z[e - 1], rate_bar)
