"""Gradients of what was observed between two simulated states, for fixed normals.

The tangents of `bridges`' weights and covariances by each component's rate run forwards, and everything else
runs backwards (`statespace_adjoint`).

    n  observations    k  those of one gap    R  draws    D  temporal states    S  components    W  width
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.compiled import compiled, inlined
from models.mgp.bridges import BETWEEN, LEFT, bridge_factor
from models.mgp.kernel_gradient import KernelGradient, generator
from models.mgp.products import dot
from models.mgp.statespace import StateSpace, process_noise, semidefinite_factor, transition
from models.mgp.statespace_adjoint import factor_slope, noise_slope, product, reverse_factor

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@compiled
def reverse_bridge(
    space: StateSpace,
    gap_hours: float,
    left: Floats,
    right: Floats,
    since_hours: Floats,
    variable: Integers,
    placed: Integers,
    parts: Floats,
    new: Floats,
    first: int,
    stop: int,
    normals: npt.NDArray[np.floating],
    value_bar: Floats,
    left_bar: Floats,
    right_bar: Floats,
    gradient: KernelGradient,
) -> None:
    """From `value_bar` (n, R) by `bridge` to the kernel, and added to the bars of both states (R, D, W)."""
    start, component, noise = space.start, space.component, space.noise
    noise_bar, rate_bar = gradient.noise, gradient.rate
    for i in range(first, stop):
        if placed[i] != BETWEEN:
            state_bar, m = left_bar if placed[i] == LEFT else right_bar, variable[i]
            root = np.sqrt(noise[m])
            for r in range(len(state_bar)):
                noise_bar[m] += value_bar[i, r] * normals[i, r] / (2.0 * root)
                for f in start:
                    state_bar[r, f, m] += value_bar[i, r]
    rows, states = first + np.flatnonzero(placed[first:stop] == BETWEEN), len(component)
    if len(rows) == 0:
        return
    factor = bridge_factor(space, parts[1], new, variable, rows, first)
    inner, slopes = parts[:, rows], np.zeros((4, len(rows), states))
    if states == len(start):
        _fading_slopes(space.rate, gap_hours, since_hours[rows], inner, slopes)
    else:
        _bridge_slopes(space, gap_hours, since_hours[rows], inner, slopes)
    for k in range(len(rows)):
        i, m = rows[k], variable[rows[k]]
        for c in range(states):
            moved = 0.0
            for r in range(len(left)):
                bar = value_bar[i, r]
                left_bar[r, c, m] += bar * inner[2, k, c]
                right_bar[r, c, m] += bar * inner[3, k, c]
                moved += bar * (slopes[2, k, c] * left[r, c, m] + slopes[3, k, c] * right[r, c, m])
            rate_bar[component[c]] += moved
    bar = _factor_bar(factor, rows, normals, value_bar)
    moved_new = _moved_covariances(space, since_hours[rows], inner, slopes)
    _reverse_covariances(space, bar, inner[1], slopes[1], new, moved_new, rows, first, variable, gradient)


@inlined
def _fading_slopes(
    rate: Floats, gap_hours: float, since_hours: Floats, parts: Floats, slopes: Floats
) -> None:
    """`_bridge_slopes` of Matern-1/2 components alone, whose C is a number."""
    for s in range(len(rate)):
        whole, variance = np.exp(-rate[s] * gap_hours), -np.expm1(-2.0 * rate[s] * gap_hours)
        per_factor = 1.0 / np.sqrt(variance) if variance > 0.0 else 0.0
        moved_factor = gap_hours * whole * whole * per_factor
        for i in range(len(since_hours)):
            since, until = since_hours[i], gap_hours - since_hours[i]
            before, after = np.exp(-rate[s] * since), np.exp(-rate[s] * until)
            noise, explained, to_right = parts[0, i, s], parts[1, i, s], parts[3, i, s]
            moved = 2.0 * since * before * before
            onward = (moved - until * noise) * after
            slopes[0, i, s] = moved
            slopes[1, i, s] = (onward - moved_factor * explained) * per_factor
            slopes[3, i, s] = (slopes[1, i, s] - moved_factor * to_right) * per_factor
            slopes[2, i, s] = (to_right * gap_hours - slopes[3, i, s]) * whole - since * before


@compiled
def _bridge_slopes(  # noqa: C901  the formulas of `bridge_parts`, one tangent each
    space: StateSpace, gap_hours: float, since_hours: Floats, parts: Floats, slopes: Floats
) -> None:
    """The tangents of `bridge_parts` (4, k, D), each by its own component's rate."""
    states, shift = len(space.stationary), generator(space)
    whole, noise = np.empty((states, states)), np.empty((states, states))
    before, after = np.empty((states, states)), np.empty((states, states))
    transition(space, gap_hours, whole)
    process_noise(space, gap_hours, noise)
    factor = semidefinite_factor(noise)
    moved_factor, moved_whole = (
        factor_slope(factor, noise_slope(space, gap_hours, whole)),
        gap_hours * product(shift, whole),
    )
    for i in range(len(since_hours)):
        since, until = since_hours[i], gap_hours - since_hours[i]
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
def _factor_bar(
    factor: Floats, rows: Integers, normals: npt.NDArray[np.floating], value_bar: Floats
) -> Floats:
    """From `value_bar` (n, R) of `rows` (k,) to the covariance whose `factor` (k, k) made their noise."""
    out = np.zeros_like(factor)
    for k in range(len(rows)):
        for j in range(k + 1):
            total = 0.0
            for r in range(value_bar.shape[1]):
                total += value_bar[rows[k], r] * normals[rows[j], r]
            out[k, j] = total
    return reverse_factor(factor, out)


@compiled
def _moved_covariances(space: StateSpace, since_hours: Floats, parts: Floats, slopes: Floats) -> Floats:
    """The tangents of `spans.covariances` of times (k,) by each component's rate: (S, k, k)."""
    count, states, start, order = len(since_hours), len(space.component), space.start, space.order
    rate, step, shift = space.rate, np.empty((states, states)), generator(space)
    out = np.empty((len(rate), count, count))
    for i in range(count):
        for j in range(i + 1):
            early, late = (i, j) if since_hours[i] <= since_hours[j] else (j, i)
            gap = since_hours[late] - since_hours[early]
            if len(start) == states:
                for s in range(states):
                    moved = slopes[0, early, s] - gap * parts[0, early, s]
                    out[s, i, j] = np.exp(-rate[s] * gap) * moved
            else:
                transition(space, gap, step)
                moved_step = gap * product(shift, step)
                for s in range(len(start)):
                    first, end = start[s], start[s] + order[s]
                    out[s, i, j] = dot(slopes[0, early, first:end], step[first, first:end])
                    out[s, i, j] += dot(parts[0, early, first:end], moved_step[first, first:end])
    return out


@inlined
def _reverse_covariances(
    space: StateSpace,
    bar: Floats,
    explained: Floats,
    moved_explained: Floats,
    new: Floats,
    moved_new: Floats,
    rows: Integers,
    first: int,
    variable: Integers,
    gradient: KernelGradient,
) -> None:
    """From `bar` (k, k) by the covariance of `rows` (k,), noise included, to the kernel."""
    component, task = space.component, space.covariance
    noise_bar, rate_bar, covariance_bar = gradient.noise, gradient.rate, gradient.covariance
    for i in range(len(rows)):
        noise_bar[variable[rows[i]]] += bar[i, i]
        for j in range(i + 1):
            m, other = variable[rows[i]], variable[rows[j]]
            for s in range(len(task)):
                covariance_bar[s, m, other] += bar[i, j] * new[s, rows[i], rows[j] - first]
                rate_bar[s] += bar[i, j] * task[s, m, other] * moved_new[s, i, j]
            for c in range(len(component)):
                s = component[c]
                moved = moved_explained[i, c] * explained[j, c] + explained[i, c] * moved_explained[j, c]
                covariance_bar[s, m, other] -= bar[i, j] * explained[i, c] * explained[j, c]
                rate_bar[s] -= bar[i, j] * task[s, m, other] * moved
