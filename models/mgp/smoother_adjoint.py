"""Gradients of smoothed means, without reversing the smoother.

A smoothed mean is linear in what was observed, mean = K_* alpha with alpha = (K + R)^-1 y. For a loss with the
derivative g by the mean, and beta = (K + R)^-1 K_*^T g,

    d loss = g^T dK_* alpha - beta^T d(K + R) alpha + beta^T dy

so y_bar = beta, and everything else is one bilinear form of the prior kernel between the sources alpha and the
tests c = (g at the grid, -beta at the observations). Two passes over time evaluate it. With F, Pinf and h of
`statespace`, over a gap

    forwards    z <- F z  + Pinf h c        y <- F y + Pinf h (B alpha)
    backwards   w <- F^T w + h c            v <- F^T v + h (B alpha)
    B_bar    += alpha_i (h^T z + (Pinf h)^T w)^T      at each observation, every pair counted once
    rate_bar += gap (<F^T w, A y> + <F^T v, A z>)     at each gap: it lies between w and y, and between v and z

and no covariance of a state is kept, or even made.

    n  observations, in order of time     T  grid hours, not decreasing     e = n + T  events
    R  right-hand sides     D  temporal states     W  width (variables, padded)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.mgp.compiled import compiled
from models.mgp.filter import Gains, means
from models.mgp.filter_adjoint import KernelGradient, add, add_slopes, dot, generator
from models.mgp.schedule import Tape
from models.mgp.smoother import advance_all, weigh
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
    tape: Tape,
    run: Gains,
    time_hours: Floats,
    variable: Integers,
    weight: Floats,
    grid_hours: Floats,
    mean_bar: Floats,
    gradient: KernelGradient,
) -> Floats:
    """From `mean_bar` (T, R, W), the smoother's `weight` alpha (n, R) and its run on `tape`, value_bar (n, R);
    what reaches the kernel is added to `gradient`.
    """
    events = in_order(space, time_hours, grid_hours)
    nothing = np.zeros((0, weight.shape[1]))
    z = _forwards(space, events, variable, nothing, mean_bar)
    cross = _cross(space, events, variable, z, mean_bar, weight.shape)
    innovation = means(space, tape, run, variable, cross).innovation
    value_bar = weigh(space, time_hours, variable, run, innovation, grid_hours[:0]).weight
    z += _forwards(space, events, variable, value_bar, mean_bar)
    _reverse_kernel(space, events, variable, weight, value_bar, mean_bar, z, gradient)
    for i in range(len(variable)):
        gradient.noise[variable[i]] -= dot(weight[i], value_bar[i])
    return value_bar


@compiled
def _forwards(
    space: StateSpace, events: Events, variable: Integers, value_bar: Floats, mean_bar: Floats
) -> Floats:
    """z after each event (e, R, D, W), of -`value_bar` at observations, or where that is empty, of `mean_bar` at
    the grid."""
    sides, states, width = mean_bar.shape[1], len(space.stationary), len(space.noise)
    out, state = np.empty((len(events.row), sides, states, width)), np.zeros((sides, states, width))
    for e in range(len(events.row)):
        advance_all(state, events.transition[e])
        t = events.row[e] - len(variable)
        for c in range(states):
            scale = space.stationary[c, space.start[space.component[c]]]
            if scale == 0.0:
                continue
            for r in range(sides):
                if t >= 0 and len(value_bar) == 0:
                    add(state[r, c], scale, mean_bar[t, r])
                elif t < 0 and len(value_bar):
                    state[r, c, variable[events.row[e]]] -= scale * value_bar[events.row[e], r]
        out[e] = state
    return out


@compiled
def _cross(
    space: StateSpace, events: Events, variable: Integers, z: Floats, mean_bar: Floats, shape: tuple[int, int]
) -> Floats:
    """K_*^T g: the bilinear form of `mean_bar` at the grid with each observation, (n, R)."""
    sides, states, width = mean_bar.shape[1], len(space.stationary), len(space.noise)
    out, state = np.zeros(shape), np.zeros((sides, states, width))
    for e in range(len(events.row) - 1, -1, -1):
        row = events.row[e]
        if row < len(variable):
            for r in range(sides):
                for c in range(states):
                    s = space.component[c]
                    task, scale = space.covariance[s, variable[row]], space.stationary[space.start[s], c]
                    if c == space.start[s]:
                        out[row, r] += dot(task, z[e, r, c])
                    if scale != 0.0:
                        out[row, r] += scale * dot(task, state[r, c])
        else:
            for r in range(sides):
                for first in space.start:
                    add(state[r, first], 1.0, mean_bar[row - len(variable), r])
        advance_all(state, events.transition[e].T)
    return out


@compiled
def _reverse_kernel(
    space: StateSpace,
    events: Events,
    variable: Integers,
    weight: Floats,
    value_bar: Floats,
    mean_bar: Floats,
    z: Floats,
    gradient: KernelGradient,
) -> None:
    """The passes y, w and v: B and the rates get their share."""
    sides, states, width = mean_bar.shape[1], len(space.stationary), len(space.noise)
    y, shift = _weighted_forwards(space, events, variable, weight), generator(space)
    w, v = np.zeros((sides, states, width)), np.zeros((sides, states, width))
    for e in range(len(events.row) - 1, -1, -1):
        row = events.row[e]
        if row < len(variable):
            m = variable[row]
            for r in range(sides):
                _add_outer(space, m, weight[row, r], z[e, r], w[r], gradient)
                for s in range(len(space.start)):
                    w[r, space.start[s], m] -= value_bar[row, r]
                    add(v[r, space.start[s]], weight[row, r], space.covariance[s, m])
        else:
            for r in range(sides):
                for first in space.start:
                    add(w[r, first], 1.0, mean_bar[row - len(variable), r])
        if e > 0 and events.gap_hours[e] > 0.0:
            advance_all(w, events.transition[e].T)
            advance_all(v, events.transition[e].T)
            for r in range(sides):
                add_slopes(space, shift, events.gap_hours[e], w[r], y[e - 1, r], gradient)
                add_slopes(space, shift, events.gap_hours[e], v[r], z[e - 1, r], gradient)


@compiled
def _weighted_forwards(space: StateSpace, events: Events, variable: Integers, weight: Floats) -> Floats:
    """y after each event: (e, R, D, W)."""
    sides, states, width = weight.shape[1], len(space.stationary), len(space.noise)
    out, state = np.empty((len(events.row), sides, states, width)), np.zeros((sides, states, width))
    for e in range(len(events.row)):
        advance_all(state, events.transition[e])
        row = events.row[e]
        if row < len(variable):
            for c in range(states):
                s = space.component[c]
                scale = space.stationary[c, space.start[s]]
                if scale != 0.0:
                    for r in range(sides):
                        add(state[r, c], scale * weight[row, r], space.covariance[s, variable[row]])
        out[e] = state
    return out


@compiled
def _add_outer(
    space: StateSpace, m: int, weight: float, before: Floats, after: Floats, gradient: KernelGradient
) -> None:
    """B_bar[m] += alpha_i (h^T z + (Pinf h)^T w), states (D, W)."""
    for c in range(len(before)):
        s = space.component[c]
        scale = space.stationary[space.start[s], c]
        if c == space.start[s]:
            add(gradient.covariance[s, m], weight, before[c])
        if scale != 0.0:
            add(gradient.covariance[s, m], weight * scale, after[c])
