"""Joint draws from a posterior, by simulating the prior and smoothing what it leaves.

    f* ~ prior,  y* = f* + noise at the observations       draw = f* + E[f | y - y*]

is a joint draw from the posterior over every time and variable (Matheron's rule), and costs one more
right-hand side. f* is simulated as whole states at the cuts of `blocks` alone; between two it is a bridge
(`bridges`). The mean comes from the weights alpha of `smoother`, for many right-hand sides at once:

    E[f(t) | y*] = sum_s B_s h_s^T (pi(t) + Pinf lambda(t))        pi(b) = F pi(a) + sum_i arrival_i alpha_i

pi is what came before, before the task covariance is applied: B enters once a grid hour.

    K  cuts    T  grid hours    n  observations    R  draws    D  temporal states
    W  width, M variables padded

Source: Wilson 2020 arXiv:2002.09309.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.compiled import compiled, inlined
from models.mgp.blocks import Blocks, Cuts
from models.mgp.bridges import bridge, bridge_parts, places
from models.mgp.products import add, advance_all, copy, fill
from models.mgp.smoother import weigh, whiten
from models.mgp.statespace import StateSpace, semidefinite_factor

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@compiled
def prior_path(space: StateSpace, blocks: Blocks, normals: npt.NDArray[np.floating]) -> Floats:
    """States at the cuts (K,) drawn from the prior, from `normals` (K, R, D, M): (K, R, D, W)."""
    path = independent_path(space, blocks, normals)
    correlate(space, path)
    return path


@compiled
def independent_path(space: StateSpace, blocks: Blocks, normals: npt.NDArray[np.floating]) -> Floats:
    """`prior_path` of variables that are independent and of variance one: (K, R, D, W)."""
    count, sides, states, _ = normals.shape
    path, state = (
        np.empty((count, sides, states, len(space.noise))),
        np.zeros((sides, states, len(space.noise))),
    )
    step, noise = blocks.step, blocks.noise
    for k in range(count):
        advance_all(state, step[k])
        innovate(state, semidefinite_factor(noise[k] if k else space.stationary), normals[k])
        for r in range(sides):
            for c in range(states):
                copy(path[k, r, c], state[r, c])
    return path


@inlined
def innovate(state: Floats, factor: Floats, normals: npt.NDArray[np.floating]) -> None:
    """x <- x + factor z for tables (R, D, W) of independent variables, z (R, D, M)."""
    sides, states, variables = normals.shape
    for r in range(sides):
        for c in range(states):
            for b in range(c + 1):
                weight = factor[c, b]
                if weight != 0.0:
                    for m in range(variables):
                        state[r, c, m] += weight * normals[r, b, m]


@compiled
def correlate(space: StateSpace, path: Floats) -> None:
    """Give tables (K, R, D, W) of independent variables their task covariance: every row times L_s^T."""
    (count, sides, states, width), component = path.shape, space.component
    rows, out = np.empty((sides, width)), np.empty((sides, width))
    for k in range(count):
        for c in range(states):
            for r in range(sides):
                copy(rows[r], path[k, r, c])
            # an hour at a time, so that an hour's bits know nothing of the path's length
            np.dot(rows, space.factor[component[c]].T, out)
            for r in range(sides):
                copy(path[k, r, c], out[r])


@compiled
def simulated_values(
    space: StateSpace,
    cuts: Cuts,
    blocks: Blocks,
    path: Floats,
    variable: Integers,
    normals: npt.NDArray[np.floating],
) -> Floats:
    """y* of observations (n,) in order of time, on a path (K, R, D, W), from `normals` (n, R): (n, R)."""
    values, parts, stop = np.empty(normals.shape), bridged(space, cuts, blocks), cuts.stop
    rows = variable, places(blocks.since_hours, blocks.until_hours), parts, blocks.new
    for k in range(1, len(stop)):
        if stop[k] > stop[k - 1]:
            bridge(space, path[k - 1], path[k], rows, stop[k - 1], stop[k], normals, values)
    return values


@compiled
def bridged(space: StateSpace, cuts: Cuts, blocks: Blocks) -> Floats:
    """`bridge_parts` of every row: (4, n, D)."""
    step, noise, stop = blocks.step, blocks.noise, cuts.stop
    parts = np.empty((4, len(blocks.since_hours), len(space.component)))
    for k in range(1, len(stop)):
        if stop[k] > stop[k - 1]:
            bridge_parts(step[k], noise[k], blocks.inside, stop[k - 1], stop[k], parts)
    return parts


@compiled
def deviation(
    space: StateSpace,
    cuts: Cuts,
    blocks: Blocks,
    variable: Integers,
    path_normals: npt.NDArray[np.float32],
    value_normals: npt.NDArray[np.float32],
    out: npt.NDArray[np.floating],
) -> None:
    """f* - E[f | y*] at the grid, what a draw adds to the mean, into `out` (R, T, M)."""
    path = prior_path(space, blocks, path_normals)
    value = simulated_values(space, cuts, blocks, path, variable, value_normals)
    adjoint = np.empty((len(cuts.at), value.shape[1], len(space.stationary), len(space.noise)))
    white = whiten(space, cuts, blocks, variable, value, adjoint[:0, :, 0])
    weight = weigh(cuts, blocks, variable, white, adjoint)
    _leave(space, cuts, blocks, variable, path, weight, adjoint, out)


@compiled
def _leave(
    space: StateSpace,
    cuts: Cuts,
    blocks: Blocks,
    variable: Integers,
    path: Floats,
    weight: Floats,
    adjoint: Floats,
    out: npt.NDArray[np.floating],
) -> None:
    """What the smoothed mean, by its weights and adjoints, leaves of a path: `out` (R, T, M)."""
    hours, sides, states, width = adjoint.shape
    before, left, t = np.zeros((sides, states, width)), np.empty((sides, width)), 0
    arrival, stop, at, step = blocks.arrival, cuts.stop, cuts.at, blocks.step
    for k in range(len(stop)):
        advance_all(before, step[k])
        for i in range(stop[max(k - 1, 0)], stop[k]):
            for c in range(states):
                for r in range(sides):
                    before[r, c, variable[i]] += arrival[i, c] * weight[i, r]
        if t < hours and at[t] == k:
            _leave_hour(space, path[k], before, adjoint[t], left)
            for r in range(sides):
                for m in range(out.shape[2]):
                    out[r, t, m] = left[r, m]
            t += 1


@compiled
def _leave_hour(space: StateSpace, path: Floats, before: Floats, after: Floats, left: Floats) -> None:
    """h^T x - sum_s B_s h_s^T (pi + Pinf lambda) of x `path`, pi `before` and lambda `after` (R, D, W)."""
    start, order, stationary = space.start, space.order, space.stationary
    share, product = np.empty(left.shape), np.empty(left.shape)
    for s in range(len(start)):
        first = start[s]
        for r in range(len(share)):
            copy(share[r], before[r, first])
            for b in range(first, first + order[s]):
                add(share[r], stationary[first, b], after[r, b])
        np.dot(share, space.covariance[s], product)
        for r in range(len(share)):
            if s == 0:
                fill(left[r], 0.0)
            add(left[r], 1.0, path[r, first])
            add(left[r], -1.0, product[r])
