"""Gradients of simulated prior paths, and of what was observed on them, for fixed normals.

A draw is a function of the kernel and of its normals; this is that function's derivative. Paths run backwards
here, observations in `bridges_adjoint`.

    K  cuts    H  whole hours    n  observations    R  draws    D  temporal states    W  width
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.mgp.blocks import Blocks, Cuts
from models.mgp.bridges import places
from models.mgp.bridges_adjoint import reverse_bridge
from models.mgp.draws import bridged, independent_path
from models.mgp.hourly_draws import (
    PATH,
    Simulation,
    by_hour,
    hourly_normals,
    independent_hours,
    keyed_normals,
    reverse_time,
)
from models.mgp.kernel_gradient import KernelGradient, add_slopes, generator
from models.mgp.products import add, advance_all, copy
from models.mgp.statespace import StateSpace, process_noise, semidefinite_factor, transition
from models.mgp.statespace_adjoint import factor_slope, noise_slope

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@compiled
def reverse_path(
    space: StateSpace,
    cuts: Cuts,
    blocks: Blocks,
    normals: npt.NDArray[np.floating],
    path_bar: Floats,
    gradient: KernelGradient,
) -> None:
    """From `path_bar` (K, R, D, W), which is overwritten, by `prior_path`, to the kernel."""
    path = independent_path(space, blocks, normals)
    reverse_correlate(space, path, path_bar, gradient)
    reverse_walk(space, np.diff(cuts.hours), path, normals, path_bar, gradient)


@compiled
def reverse_correlate(space: StateSpace, path: Floats, path_bar: Floats, gradient: KernelGradient) -> None:
    """From the bar of correlated tables (K, R, D, W) to independent ones', in place, and to the factor."""
    (count, sides, states, width), component = path.shape, space.component
    rows, bars = np.empty((sides, width)), np.empty((sides, width))
    out, outer, factor_bar = np.empty((sides, width)), np.empty((width, width)), gradient.factor
    for k in range(count):
        for c in range(states):
            for r in range(sides):
                copy(rows[r], path[k, r, c])
                copy(bars[r], path_bar[k, r, c])
            np.dot(bars.T, rows, outer)
            np.dot(bars, space.factor[component[c]], out)
            for w in range(width):
                add(factor_bar[component[c], w], 1.0, outer[w])
            for r in range(sides):
                copy(path_bar[k, r, c], out[r])


@compiled
def reverse_walk(
    space: StateSpace,
    gap_hours: Floats,
    path: Floats,
    normals: npt.NDArray[np.floating],
    path_bar: Floats,
    gradient: KernelGradient,
) -> None:
    """Back along x_a = F x_{a-1} + C z_a for independent variables; `path_bar` is overwritten."""
    (_, sides, states, _), shift = path.shape, generator(space)
    step, noise, component = np.empty((states, states)), np.empty((states, states)), space.component
    rate_bar = gradient.rate
    for a in range(len(gap_hours), 0, -1):
        gap = gap_hours[a - 1]
        transition(space, gap, step)
        process_noise(space, gap, noise)
        slope = factor_slope(semidefinite_factor(noise), noise_slope(space, gap, step))
        for c in range(states):
            for b in range(c + 1):
                if slope[c, b] != 0.0:
                    total = 0.0
                    for r in range(sides):
                        for m in range(normals.shape[3]):
                            total += path_bar[a, r, c, m] * normals[a, r, b, m]
                    rate_bar[component[c]] += slope[c, b] * total
        advance_all(path_bar[a], step.T)
        for r in range(sides):
            add_slopes(component, shift, gap, path_bar[a, r], path[a - 1, r], rate_bar)
            for c in range(states):
                add(path_bar[a - 1, r, c], 1.0, path_bar[a, r, c])


@compiled
def reverse_values(
    space: StateSpace,
    cuts: Cuts,
    blocks: Blocks,
    path: Floats,
    variable: Integers,
    normals: npt.NDArray[np.floating],
    value_bar: Floats,
    path_bar: Floats,
    gradient: KernelGradient,
) -> None:
    """From `value_bar` (n, R) by `simulated_values` to the kernel, and added to `path_bar` (K, R, D, W)."""
    placed, parts, hours = (
        places(blocks.since_hours, blocks.until_hours),
        bridged(space, cuts, blocks),
        cuts.hours,
    )
    for k in range(1, len(hours)):
        first, stop = cuts.stop[k - 1], cuts.stop[k]
        reverse_bridge(
            space, hours[k] - hours[k - 1], path[k - 1], path[k], blocks.since_hours, variable, placed, parts,
            blocks.new, first, stop, normals, value_bar, path_bar[k - 1], path_bar[k], gradient,
        )  # fmt: skip


@compiled
def reverse_filtered_values(
    space: StateSpace,
    simulation: Simulation,
    time_hours: Floats,
    variable: Integers,
    order: Integers,
    value_bar: Floats,
    path_bar: Floats,
    gradient: KernelGradient,
) -> None:
    """From `value_bar` (n, R) by `filtered_values` to the kernel, and added to `path_bar` (H, R, D, W)."""
    if len(order) == 0:
        return
    path, told = simulation.path, by_hour(space, time_hours, variable, order)
    rows, normals = order[told.place], hourly_normals(told, simulation.seed, value_bar.shape[1])
    placed, bar = places(told.since_hours, 1.0 - told.since_hours), value_bar[rows]
    for k in range(len(told.hour)):
        left = told.hour[k] - simulation.first_hour
        reverse_bridge(
            space, 1.0, path[left], path[left + 1], told.since_hours, told.variable, placed, told.parts,
            told.new, told.stop[k], told.stop[k + 1], normals, bar, path_bar[left], path_bar[left + 1],
            gradient,
        )  # fmt: skip


@compiled
def reverse_hourly_path(
    space: StateSpace, simulation: Simulation, path_bar: Floats, gradient: KernelGradient
) -> None:
    """From `path_bar` (H, R, D, W), which is overwritten, by `hourly_path`, to the kernel."""
    hours, sides, states = path_bar.shape[:3]
    first, last = simulation.first_hour, simulation.first_hour + hours - 1
    path = independent_hours(space, first, last, sides, simulation.seed)
    reverse_correlate(space, path, path_bar, gradient)
    normals = np.empty((hours, sides, states, space.variables))
    for i in range(hours):
        keyed_normals(simulation.seed, PATH, first + i, 0, normals[i].reshape(normals[i].size))
    # the state at hour 0 starts both walks and knows no rate: its bar ends there
    reverse_walk(space, np.ones(last), path[-first:], normals[-first:], path_bar[-first:], gradient)
    past, past_bar = path[: 1 - first][::-1].copy(), path_bar[: 1 - first][::-1].copy()
    for i in range(len(past)):
        reverse_time(space, past[i])
        reverse_time(space, past_bar[i])
    reverse_walk(space, np.ones(-first), past, normals[: 1 - first][::-1].copy(), past_bar, gradient)


@compiled
def add_process_bar(space: StateSpace, at: Integers, bar: Floats, path_bar: Floats) -> None:
    """Add `bar` (R, T, W), by the process at the places `at` (T,) of a path, to `path_bar` (A, R, D, W)."""
    for t in range(len(at)):
        for r in range(len(bar)):
            for first in space.start:
                add(path_bar[at[t], r, first], 1.0, bar[r, t])
