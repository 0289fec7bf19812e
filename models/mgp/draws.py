"""Joint draws from a posterior, by simulating the prior and smoothing what it leaves.

    f* ~ prior,  y* = f* + noise at the observations       draw = f* + E[f | y - y*]

is a joint draw from the posterior over every time and variable (Matheron's rule), and costs one more
right-hand side. f* is simulated as whole states at the cuts of `blocks` alone; between two it is a bridge
(`bridges`).

    K  cuts    T  grid hours    n  observations    R  draws    D  temporal states
    W  width, M variables padded

Source: Wilson 2020 arXiv:2002.09309.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.mgp.blocks import Blocks, Cuts
from models.mgp.bridges import bridge, bridge_parts, places
from models.mgp.compiled import compiled, inlined
from models.mgp.filter import advance_all
from models.mgp.products import add, add_products, copy, fill
from models.mgp.smoother import smoothed_mean, weigh, whiten
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
    mixed, rows, out = np.empty_like(space.factor), np.empty((sides, width)), np.empty((sides, width))
    for s in range(len(mixed)):
        mixed[s] = space.factor[s].T
    for k in range(count):
        for c in range(states):
            for r in range(sides):
                copy(rows[r], path[k, r, c])
                fill(out[r], 0.0)
            add_products(rows, mixed[component[c]], out, True)
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
) -> Floats:
    """f* - E[f | y*] at the grid, what a draw adds to the mean: (R, T, W)."""
    path = prior_path(space, blocks, path_normals)
    value = simulated_values(space, cuts, blocks, path, variable, value_normals)
    hours, sides, width = len(cuts.at), value.shape[1], len(space.noise)
    adjoint = np.empty((hours, sides, len(space.stationary), width))
    white = whiten(space, cuts, blocks, variable, value, adjoint[:0, :, 0])
    weight = weigh(cuts, blocks, variable, white, adjoint)
    mean, out = smoothed_mean(space, cuts, blocks, variable, weight, adjoint), np.empty((sides, hours, width))
    for t in range(hours):
        for r in range(sides):
            fill(out[r, t], 0.0)
            add(out[r, t], -1.0, mean[t, r])
            for f in space.start:
                add(out[r, t], 1.0, path[cuts.at[t], r, f])
    return out
