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
    """From `mean_bar` (T, R, W), the smoother's `weight` alpha (n, R) and its run on `tape`, value_bar
    (n, R); what reaches the kernel is added to `gradient`.
    """
    events = in_order(space, time_hours, grid_hours)
    cross = np.zeros(weight.shape)
    # one right-hand side after the other: its states stay in the cache
    for r in range(weight.shape[1]):
        z = _tested(space, events, variable, cross, mean_bar, r)
        _add_cross(space, events, variable, z, mean_bar, r, cross)
    innovation = means(space, tape, run, variable, cross).innovation
    value_bar = weigh(space, time_hours, variable, run, innovation, grid_hours[:0]).weight
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
    states, width = len(space.stationary), len(space.noise)
    out, state = np.empty((len(events.row), states, width)), np.zeros((1, states, width))
    for e in range(len(events.row)):
        advance_all(state, events.transition[e])
        row = events.row[e]
        for c in range(states):
            scale = space.stationary[c, space.start[space.component[c]]]
            if row < len(variable):
                state[0, c, variable[row]] -= scale * value_bar[row, r]
            elif scale != 0.0:
                add(state[0, c], scale, mean_bar[row - len(variable), r])
        out[e] = state[0]
    return out


@compiled
def _add_cross(
    space: StateSpace, events: Events, variable: Integers, z: Floats, mean_bar: Floats, r: int, out: Floats
) -> None:
    """K_*^T g of side r, the bilinear form of `mean_bar` with each observation, to `out` (n, R)."""
    state = np.zeros((1, *z.shape[1:]))
    for e in range(len(events.row) - 1, -1, -1):
        row = events.row[e]
        if row < len(variable):
            for c in range(len(space.stationary)):
                s = space.component[c]
                task, scale = space.covariance[s, variable[row]], space.stationary[space.start[s], c]
                if c == space.start[s]:
                    out[row, r] += dot(task, z[e, c])
                if scale != 0.0:
                    out[row, r] += scale * dot(task, state[0, c])
        else:
            for first in space.start:
                add(state[0, first], 1.0, mean_bar[row - len(variable), r])
        advance_all(state, events.transition[e].T)


@compiled
def _weighted(space: StateSpace, events: Events, variable: Integers, weight: Floats, r: int) -> Floats:
    """y after each event, (e, D, W), of side r of `weight` (n, R)."""
    states, width = len(space.stationary), len(space.noise)
    out, state = np.empty((len(events.row), states, width)), np.zeros((1, states, width))
    for e in range(len(events.row)):
        advance_all(state, events.transition[e])
        row = events.row[e]
        if row < len(variable):
            for c in range(states):
                s = space.component[c]
                scale = space.stationary[c, space.start[s]]
                if scale != 0.0:
                    add(state[0, c], scale * weight[row, r], space.covariance[s, variable[row]])
        out[e] = state[0]
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
    # a tuple handed to a function costs more than a row of arithmetic
    start, component, stationary, covariance = (
        space.start,
        space.component,
        space.stationary,
        space.covariance,
    )
    rate_bar, covariance_bar = gradient.rate, gradient.covariance
    for e in range(len(events.row) - 1, -1, -1):
        row = events.row[e]
        if row < len(variable):
            m, alpha = variable[row], weight[row, r]
            for c in range(len(component)):
                s = component[c]
                scale = alpha * stationary[start[s], c]
                if c == start[s]:
                    add(covariance_bar[s, m], alpha, z[e, c])
                if scale != 0.0:
                    add(covariance_bar[s, m], scale, w[0, c])
            for s in range(len(start)):
                w[0, start[s], m] -= value_bar[row, r]
                add(v[0, start[s]], alpha, covariance[s, m])
        else:
            for first in start:
                add(w[0, first], 1.0, mean_bar[row - len(variable), r])
        if e > 0 and events.gap_hours[e] > 0.0:
            back, gap = events.transition[e].T, events.gap_hours[e]
            advance_all(w, back)
            advance_all(v, back)
            add_slopes(component, shift, gap, w[0], y[e - 1], rate_bar)
            add_slopes(component, shift, gap, v[0], z[e - 1], rate_bar)
