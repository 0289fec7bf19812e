"""Gradients of simulated prior paths and of what was observed on them, for fixed normals.

A draw is a function of the kernel and of its normals; this is that function's derivative. Whatever depends on
a component's rate has one tangent, marked by a dash, with A, F and Q of `statespace`:

    F' = gap A F          Q' = gap c F[:, last] F[:, last]^T, c the power of the driving noise
    C' from C C^T = Q     and from these the weights and the covariance of a bridge

Everything else runs backwards. Where a variable depends on those before it, its column of the covariance's
factor is zero and stays zero.

    A  anchors    n  observations    R  draws    D  temporal states    W  width    S  components

Source: Murray 2016 (arXiv:1602.07527) for Cholesky factors.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.mgp.draws import (
    BRIDGE,
    PATH,
    Simulation,
    bridge_factor,
    bridge_parts,
    independent_hours,
    independent_path,
    keyed_normals,
    reverse_time,
)
from models.mgp.filter import advance
from models.mgp.filter_adjoint import KernelGradient, add, add_slopes, dot, generator
from models.mgp.smoother import add_product
from models.mgp.statespace import StateSpace, process_noise, semidefinite_factor, transition

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


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
def reverse_path(
    space: StateSpace,
    anchor_hours: Floats,
    normals: npt.NDArray[np.floating],
    path_bar: Floats,
    gradient: KernelGradient,
) -> None:
    """From `path_bar` (A, R, D, W), which is overwritten, by `prior_path`, to the kernel."""
    path = independent_path(space, anchor_hours, normals)
    reverse_correlate(space, path, path_bar, gradient)
    reverse_walk(space, np.diff(anchor_hours), path, normals, path_bar, gradient)


@compiled
def reverse_correlate(space: StateSpace, path: Floats, path_bar: Floats, gradient: KernelGradient) -> None:
    """From the bar of correlated tables (A, R, D, W) to independent ones', in place, and to the factor."""
    count, states, width = path.shape[0] * path.shape[1], path.shape[2], path.shape[3]
    flat, flat_bar = path.reshape(count, states, width), path_bar.reshape(count, states, width)
    row = np.empty(width)
    for c in range(states):
        s = space.component[c]
        for block in range(0, count - 3, 4):
            _add_outer_of_four(flat_bar, flat, block, c, gradient.factor[s])
        for i in range(count):
            if i >= count // 4 * 4:
                for w in range(width):
                    add(gradient.factor[s, w], flat_bar[i, c, w], flat[i, c])
            row[:] = 0.0
            add_product(flat_bar[i, c], space.factor[s], row)
            flat_bar[i, c] = row


@compiled
def _add_outer_of_four(first: Floats, second: Floats, i: int, c: int, out: Floats) -> None:
    """out += the outer products of rows i .. i + 3 of tables (k, D, W), in one pass over `out`."""
    width = len(out)
    one, two, three, four = second[i, c], second[i + 1, c], second[i + 2, c], second[i + 3, c]
    for w in range(width):
        row = out[w]
        a, b, d, e = first[i, c, w], first[i + 1, c, w], first[i + 2, c, w], first[i + 3, c, w]
        for j in range(width):
            row[j] += a * one[j] + b * two[j] + d * three[j] + e * four[j]


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
    states, shift = path.shape[2], generator(space)
    step, noise = np.empty((states, states)), np.empty((states, states))
    for a in range(len(gap_hours), 0, -1):
        gap = gap_hours[a - 1]
        transition(space, gap, step)
        process_noise(space, gap, noise)
        slope = factor_slope(semidefinite_factor(noise), noise_slope(space, gap, step))
        back = np.ascontiguousarray(step.T)
        for r in range(path.shape[1]):
            for c in range(states):
                for b in range(c + 1):
                    if slope[c, b] != 0.0:
                        row, z = path_bar[a, r, c], normals[a, r, b]
                        for m in range(len(z)):
                            gradient.rate[space.component[c]] += slope[c, b] * row[m] * z[m]
            advance(path_bar[a, r], back)
            add_slopes(space.component, shift, gap, path_bar[a, r], path[a - 1, r], gradient.rate)
            path_bar[a - 1, r] += path_bar[a, r]


@compiled
def reverse_values(
    space: StateSpace,
    anchor_hours: Floats,
    path: Floats,
    time_hours: Floats,
    variable: Integers,
    normals: npt.NDArray[np.floating],
    value_bar: Floats,
    path_bar: Floats,
    gradient: KernelGradient,
) -> None:
    """From `value_bar` (n, R) by `simulated_values` to the kernel, and added to `path_bar` (A, R, D, W)."""
    i, last = 0, len(anchor_hours) - 1
    for a in range(len(anchor_hours)):
        right, stop = min(a + 1, last), i
        while stop < len(time_hours) and (right == last or time_hours[stop] < anchor_hours[right]):
            stop += 1
        reverse_bridge(
            space, anchor_hours[a], anchor_hours[right], path[a], path[right], time_hours[i:stop],
            variable[i:stop], normals[i:stop], value_bar[i:stop], path_bar[a], path_bar[right], gradient,
        )  # fmt: skip
        i = stop


@compiled
def reverse_bridge(
    space: StateSpace,
    left_hours: float,
    right_hours: float,
    left: Floats,
    right: Floats,
    time_hours: Floats,
    variable: Integers,
    normals: npt.NDArray[np.floating],
    value_bar: Floats,
    left_bar: Floats,
    right_bar: Floats,
    gradient: KernelGradient,
) -> None:
    """From `value_bar` (k, R) by `bridge` to the kernel, and added to the bars of both states (R, D, W)."""
    inside = (time_hours != left_hours) & (time_hours != right_hours)
    for i in range(len(time_hours)):
        if not inside[i]:
            state_bar, m = left_bar if time_hours[i] == left_hours else right_bar, variable[i]
            root = np.sqrt(space.noise[m])
            for r in range(len(state_bar)):
                gradient.noise[m] += value_bar[i, r] * normals[i, r] / (2.0 * root)
                for first in space.start:
                    state_bar[r, first, m] += value_bar[i, r]
    if not inside.any():
        return
    rows, states = np.flatnonzero(inside), len(space.stationary)
    parts, slopes = np.zeros((4, len(rows), states)), np.zeros((4, len(rows), states))
    bridge_parts(space, left_hours, right_hours, time_hours[rows], parts)
    _bridge_slopes(space, left_hours, right_hours, time_hours[rows], parts, slopes)
    for k in range(len(rows)):
        i, m = rows[k], variable[rows[k]]
        for c in range(states):
            for r in range(len(left)):
                bar = value_bar[i, r]
                left_bar[r, c, m] += bar * parts[2, k, c]
                right_bar[r, c, m] += bar * parts[3, k, c]
                moved = slopes[2, k, c] * left[r, c, m] + slopes[3, k, c] * right[r, c, m]
                gradient.rate[space.component[c]] += bar * moved
    _reverse_bridge_noise(
        space, parts, slopes, time_hours[rows], variable[rows], normals[rows], value_bar[rows], gradient
    )


@compiled
def _bridge_slopes(  # noqa: C901  the formulas of `bridge_parts`, one tangent each
    space: StateSpace,
    left_hours: float,
    right_hours: float,
    time_hours: Floats,
    parts: Floats,
    slopes: Floats,
) -> None:
    """The tangents of `bridge_parts` (4, k, D), each by its own component's rate."""
    states, shift = len(space.stationary), generator(space)
    whole, noise = np.empty((states, states)), np.empty((states, states))
    before, after = np.empty((states, states)), np.empty((states, states))
    gap = right_hours - left_hours
    transition(space, gap, whole)
    process_noise(space, gap, noise)
    factor = semidefinite_factor(noise)
    moved_factor, moved_whole = (
        factor_slope(factor, noise_slope(space, gap, whole)),
        gap * product(shift, whole),
    )
    for i in range(len(time_hours)):
        since, until = time_hours[i] - left_hours, right_hours - time_hours[i]
        transition(space, since, before)
        transition(space, until, after)
        process_noise(space, since, noise)
        moved_noise, moved_after = noise_slope(space, since, before), until * product(shift, after)
        moved_before = since * product(shift, before)
        for s in range(len(space.start)):
            first, end = space.start[s], space.start[s] + space.order[s]
            for c in range(first, end):
                slopes[0, i, c] = moved_noise[first, c]
                total = 0.0
                for b in range(first, end):
                    total += moved_noise[first, b] * after[c, b] + noise[first, b] * moved_after[c, b]
                for b in range(first, c + 1):
                    total -= moved_factor[c, b] * parts[1, i, b]
                for b in range(first, c):
                    total -= factor[c, b] * slopes[1, i, b]
                slopes[1, i, c] = total / factor[c, c] if factor[c, c] > 0.0 else 0.0
            for c in range(end - 1, first - 1, -1):
                total = slopes[1, i, c]
                for b in range(c, end):
                    total -= moved_factor[b, c] * parts[3, i, b]
                for b in range(c + 1, end):
                    total -= factor[b, c] * slopes[3, i, b]
                slopes[3, i, c] = total / factor[c, c] if factor[c, c] > 0.0 else 0.0
            for c in range(first, end):
                slopes[2, i, c] = moved_before[first, c]
                for b in range(first, end):
                    slopes[2, i, c] -= slopes[3, i, b] * whole[b, c] + parts[3, i, b] * moved_whole[b, c]


@compiled
def product(first: Floats, second: Floats) -> Floats:
    """first @ second, (D, D)."""
    out = np.zeros_like(first)
    for a in range(len(first)):
        for b in range(len(first)):
            add(out[a], first[a, b], second[b])
    return out


@compiled
def _reverse_bridge_noise(
    space: StateSpace,
    parts: Floats,
    slopes: Floats,
    time_hours: Floats,
    variable: Integers,
    normals: npt.NDArray[np.floating],
    value_bar: Floats,
    gradient: KernelGradient,
) -> None:
    """From `value_bar` (k, R) by the bridge's own noise, factor @ normals."""
    count, states, shift = len(time_hours), len(space.stationary), generator(space)
    factor, factor_bar = bridge_factor(space, parts, time_hours, variable), np.zeros((count, count))
    for i in range(count):
        for j in range(i + 1):
            for r in range(value_bar.shape[1]):
                factor_bar[i, j] += value_bar[i, r] * normals[j, r]
    bar, step = reverse_factor(factor, factor_bar), np.empty((states, states))
    for i in range(count):
        gradient.noise[variable[i]] += bar[i, i]
        for j in range(i + 1):
            earlier, later = (i, j) if time_hours[i] <= time_hours[j] else (j, i)
            gap = time_hours[later] - time_hours[earlier]
            transition(space, gap, step)
            moved_step = gap * product(shift, step)
            for s in range(len(space.start)):
                first, end = space.start[s], space.start[s] + space.order[s]
                inner = dot(parts[0, earlier, first:end], step[first, first:end])
                inner -= dot(parts[1, i, first:end], parts[1, j, first:end])
                moved = dot(slopes[0, earlier, first:end], step[first, first:end])
                moved += dot(parts[0, earlier, first:end], moved_step[first, first:end])
                moved -= dot(slopes[1, i, first:end], parts[1, j, first:end])
                moved -= dot(parts[1, i, first:end], slopes[1, j, first:end])
                gradient.covariance[s, variable[i], variable[j]] += bar[i, j] * inner
                gradient.rate[s] += bar[i, j] * space.covariance[s, variable[i], variable[j]] * moved


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
    hour = np.floor(time_hours[order]).astype(np.int64)
    by_hour = np.argsort(hour, kind="mergesort")
    start = 0
    while start < len(order):
        now, stop = hour[by_hour[start]], start + 1
        while stop < len(order) and hour[by_hour[stop]] == now:
            stop += 1
        rows, left = order[by_hour[start:stop]], now - simulation.first_hour
        normals = np.empty((len(rows), value_bar.shape[1]))
        for i in range(len(rows)):
            keyed_normals(simulation.seed, BRIDGE, now, i, normals[i])
        reverse_bridge(
            space, float(now), now + 1.0, simulation.path[left], simulation.path[left + 1], time_hours[rows],
            variable[rows], normals, value_bar[rows], path_bar[left], path_bar[left + 1], gradient,
        )  # fmt: skip
        start = stop


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
