"""Joint draws from a posterior, by simulating the prior and smoothing what it leaves.

    f* ~ prior,  y* = f* + noise at the observations       draw = f* + E[f | y - y*]

is a joint draw from the posterior over every time and variable (Matheron's rule), and costs one more
right-hand side. f* is simulated as whole states at `anchors` alone; between two, a < b, it is a bridge:

    f*(t) | x(a), x(b)  ~  to_left(t) x(a) + to_right(t) x(b) + N(0, k_bridge(t, t'))
    to_right(t) = h^T Q(t - a) F(b - t)^T Q(b - a)^-1       to_left(t) = h^T F(t - a) - to_right(t) F(b - a)
    k_bridge(t, t') = h^T (Q(t - a) F(t' - t)^T - G(t) Q(b - a)^-1 G(t')^T) h        t <= t'
    G(t) = Q(t - a) F(b - t)^T

so that a few observations cost a small Cholesky factor, noise included, instead of a state each.

Common random numbers: on whole hours the path comes from normals that are a function of (seed, hour) and the
order of drawing, and an observation's bridge from (seed, hour, how many of its hour were known before it).
What becomes known later therefore changes nothing that was simulated before.

    A  anchors    n  observations    R  draws    D  temporal states    S  components
    W  width, M variables padded

Source: Doucet 2010 (A note on efficient conditional simulation of Gaussian distributions); Wilson 2020
arXiv:2002.09309 for Matheron's rule; Steele 2014 (doi:10.1145/2660193.2660195) for splitmix64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.mgp.filter import advance
from models.mgp.smoother import add_products
from models.mgp.statespace import StateSpace, process_noise, semidefinite_factor, transition

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

BRIDGED = 32  # observations between two anchors: their factor costs 32^2 / 2 each, about a state's
PATH, BRIDGE = 1, 2  # streams of normals


@compiled
def anchors(time_hours: Floats, grid_hours: Floats) -> Floats:
    """The times (A,), increasing, at which a joint draw simulates whole states: the grid, the first and last
    observation outside of it, and every 32nd observation between two. `time_hours` (n,) and `grid_hours` (T,)
    do not decrease.
    """
    out, count = np.empty(len(time_hours) + len(grid_hours)), 0
    i, t, inside = 0, 0, 0
    while i < len(time_hours) or t < len(grid_hours):
        if i == len(time_hours) or (t < len(grid_hours) and grid_hours[t] <= time_hours[i]):
            now, anchored = grid_hours[t], True
            t += 1
        else:
            now, inside = time_hours[i], inside + 1
            i += 1
            anchored = count == 0 or inside > BRIDGED or (i == len(time_hours) and t == len(grid_hours))
        if anchored:
            inside = 0
            if count == 0 or now > out[count - 1]:
                out[count] = now
                count += 1
    return out[:count].copy()


@compiled
def prior_path(space: StateSpace, anchor_hours: Floats, normals: npt.NDArray[np.floating]) -> Floats:
    """States at the anchors (A,) drawn from the prior, from `normals` (A, R, D, M): (A, R, D, W)."""
    path = independent_path(space, anchor_hours, normals)
    correlate(space, path)
    return path


@compiled
def independent_path(space: StateSpace, anchor_hours: Floats, normals: npt.NDArray[np.floating]) -> Floats:
    """`prior_path` of variables that are independent and of variance one: (A, R, D, W)."""
    count, sides, states, _ = normals.shape
    path, step = np.zeros((count, sides, states, len(space.noise))), np.empty((states, states))
    noise = np.empty((states, states))
    for a in range(count):
        noise[:] = space.stationary
        if a > 0:
            gap = anchor_hours[a] - anchor_hours[a - 1]
            transition(space, gap, step)
            process_noise(space, gap, noise)
            path[a] = path[a - 1]
        _innovate(path[a], step, semidefinite_factor(noise), normals[a], a > 0)
    return path


@compiled
def _innovate(
    state: Floats, step: Floats, factor: Floats, normals: npt.NDArray[np.floating], moving: bool
) -> None:
    """x <- F x + factor z for tables (R, D, W) of independent variables, z (R, D, M)."""
    sides, states, variables = normals.shape
    for r in range(sides):
        if moving:
            advance(state[r], step)
        for c in range(states):
            for b in range(c + 1):
                if factor[c, b] != 0.0:
                    for m in range(variables):
                        state[r, c, m] += factor[c, b] * normals[r, b, m]


@compiled
def correlate(space: StateSpace, path: Floats) -> None:
    """Give tables (A, R, D, W) of independent variables their task covariance: every row times L_s^T."""
    mixed = np.empty((len(space.factor), len(space.noise), len(space.noise)))
    rows, out = np.empty((path.shape[1], len(space.noise))), np.empty((path.shape[1], len(space.noise)))
    for s in range(len(mixed)):
        mixed[s] = space.factor[s].T
    for a in range(path.shape[0]):
        for c in range(path.shape[2]):
            rows[:], out[:] = path[a, :, c], 0.0
            add_products(rows, mixed[space.component[c]], out)
            path[a, :, c] = out


@compiled
def simulated_values(
    space: StateSpace,
    anchor_hours: Floats,
    path: Floats,
    time_hours: Floats,
    variable: Integers,
    normals: npt.NDArray[np.floating],
) -> Floats:
    """y* of observations (n,) in order of time, on a path (A, R, D, W), from `normals` (n, R): (n, R)."""
    values = np.empty(normals.shape)
    i, last = 0, len(anchor_hours) - 1
    for a in range(len(anchor_hours)):
        right, stop = min(a + 1, last), i
        while stop < len(time_hours) and (right == last or time_hours[stop] < anchor_hours[right]):
            stop += 1
        bridge(
            space, anchor_hours[a], anchor_hours[right], path[a], path[right],
            time_hours[i:stop], variable[i:stop], normals[i:stop], values[i:stop],
        )  # fmt: skip
        i = stop
    return values


@compiled
def bridge(
    space: StateSpace,
    left_hours: float,
    right_hours: float,
    left: Floats,
    right: Floats,
    time_hours: Floats,
    variable: Integers,
    normals: npt.NDArray[np.floating],
    out: Floats,
) -> None:
    """y* of observations (k,) in [left, right] given both states (R, D, W), by `normals` (k, R), into `out`.

    In any order of time: the i-th depends on the first i alone.
    """
    count, states = len(time_hours), len(space.stationary)
    inside, inner = np.empty(count, np.int64), 0
    for i in range(count):
        at_left = time_hours[i] == left_hours
        if at_left or time_hours[i] == right_hours:  # given the states, nothing but noise is left
            _observe_state(space, left if at_left else right, variable[i], normals[i], out[i])
        else:
            inside[inner] = i
            inner += 1
    rows = inside[:inner]
    parts = np.zeros((4, inner, states))
    bridge_parts(space, left_hours, right_hours, time_hours[rows], parts)
    factor = bridge_factor(space, parts, time_hours[rows], variable[rows])
    for k in range(inner):
        i = rows[k]
        for r in range(normals.shape[1]):
            out[i, r] = 0.0
            for c in range(states):
                out[i, r] += (
                    parts[2, k, c] * left[r, c, variable[i]] + parts[3, k, c] * right[r, c, variable[i]]
                )
        for j in range(k + 1):
            for r in range(normals.shape[1]):
                out[i, r] += factor[k, j] * normals[rows[j], r]


@compiled
def _observe_state(
    space: StateSpace, state: Floats, m: int, normals: npt.NDArray[np.floating], out: Floats
) -> None:
    """Variable m of states (R, D, W), observed with its noise, into `out` (R,)."""
    for r in range(len(out)):
        out[r] = np.sqrt(space.noise[m]) * normals[r]
        for s in range(len(space.start)):
            out[r] += state[r, space.start[s], m]


@compiled
def bridge_factor(space: StateSpace, parts: Floats, time_hours: Floats, variable: Integers) -> Floats:
    """The lower Cholesky factor (k, k) of observations between their anchors, noise included."""
    count = len(time_hours)
    factor = np.empty((count, count))
    for i in range(count):
        for j in range(i + 1):
            total = _bridge_covariance(space, parts, time_hours, variable, i, j)
            total += space.noise[variable[i]] if i == j else 0.0
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            factor[i, j] = np.sqrt(total) if i == j else total / factor[j, j]
    return factor


@compiled
def bridge_parts(
    space: StateSpace, left_hours: float, right_hours: float, time_hours: Floats, parts: Floats
) -> None:
    """For each time (k,): h^T Q(t - a), C^-1 G(t)^T h with C C^T = Q(b - a), to_left, to_right: (4, k, D)."""
    states = len(space.stationary)
    whole, after, before = np.empty((states, states)), np.empty((states, states)), np.empty((states, states))
    noise = np.empty((states, states))
    transition(space, right_hours - left_hours, whole)
    process_noise(space, right_hours - left_hours, noise)
    factor = semidefinite_factor(noise)
    for i in range(len(time_hours)):
        transition(space, time_hours[i] - left_hours, before)
        process_noise(space, time_hours[i] - left_hours, noise)
        transition(space, right_hours - time_hours[i], after)
        for s in range(len(space.start)):
            first, end = space.start[s], space.start[s] + space.order[s]
            _solve_bridge(first, end, noise, after, factor, parts[:, i])
            for c in range(first, end):
                parts[2, i, c] = before[first, c]
                for b in range(first, end):
                    parts[2, i, c] -= parts[3, i, b] * whole[b, c]


@compiled
def _solve_bridge(first: int, end: int, noise: Floats, after: Floats, factor: Floats, parts: Floats) -> None:
    """Rows 0, 1 and 3 of `parts` (4, D) for the states first .. end - 1 of one component."""
    for c in range(first, end):
        parts[0, c] = noise[first, c]
        total = 0.0
        for b in range(first, end):
            total += noise[first, b] * after[c, b]
        for b in range(first, c):
            total -= factor[c, b] * parts[1, b]
        parts[1, c] = total / factor[c, c] if factor[c, c] > 0.0 else 0.0
    for c in range(end - 1, first - 1, -1):
        total = parts[1, c]
        for b in range(c + 1, end):
            total -= factor[b, c] * parts[3, b]
        parts[3, c] = total / factor[c, c] if factor[c, c] > 0.0 else 0.0


@compiled
def _bridge_covariance(
    space: StateSpace, parts: Floats, time_hours: Floats, variable: Integers, i: int, j: int
) -> float:
    """Covariance of two observations between their anchors, without noise."""
    before = parts[0, i if time_hours[i] <= time_hours[j] else j]
    gap, total = abs(time_hours[i] - time_hours[j]), 0.0
    for s in range(len(space.start)):
        first, x = space.start[s], space.rate[s] * gap
        inner = before[first]
        if space.order[s] == 2:  # noqa: PLR2004  h^T F of a gap, as `transition` has it
            inner = before[first] * (1.0 + x) + before[first + 1] * x
        elif space.order[s] == 3:  # noqa: PLR2004
            square = 0.5 * x * x
            inner = before[first] * (1.0 + x + square) + before[first + 1] * (x + x * x)
            inner += before[first + 2] * square
        inner *= np.exp(-x)
        for c in range(first, first + space.order[s]):
            inner -= parts[1, i, c] * parts[1, j, c]
        total += space.covariance[s, variable[i], variable[j]] * inner
    return total


class Simulation(NamedTuple):
    """`path` (H, R, D, W) of the prior on whole hours from `first_hour` on, and the `seed` it comes from."""

    path: Floats
    first_hour: int
    seed: int


@compiled
def hourly_path(space: StateSpace, first_hour: int, last_hour: int, draws: int, seed: int) -> Floats:
    """States on the whole hours first .. last (H,), drawn from the prior: (H, R, D, W).

    An hour's state depends on (seed, hour) alone: the path leaves hour 0 in both directions. Backwards in
    time a Matern process is the same process with its odd derivatives negated.
    """
    path = independent_hours(space, first_hour, last_hour, draws, seed)
    correlate(space, path)
    return path


@compiled
def independent_hours(space: StateSpace, first_hour: int, last_hour: int, draws: int, seed: int) -> Floats:
    """`hourly_path` of variables that are independent and of variance one: (H, R, D, W)."""
    states = len(space.stationary)
    path = np.zeros((last_hour - first_hour + 1, draws, states, len(space.noise)))
    _walk(space, first_hour, 1, seed, path, 0, np.zeros((draws, states, len(space.noise))))
    _walk(space, first_hour, -1, seed, path, 0, np.zeros((draws, states, len(space.noise))))
    return path


@compiled
def lengthen(space: StateSpace, path: Floats, first_hour: int, hour: int, state: Floats, seed: int) -> None:
    """Fill a path (H, R, D, W) from `hour` >= 0 on; `state` (R, D, W) is of the hour before, of independent
    variables, and becomes that of the last hour.
    """
    _walk(space, first_hour, 1, seed, path, hour, state)
    correlate(space, path[hour - first_hour :])


@compiled
def _walk(
    space: StateSpace, first_hour: int, direction: int, seed: int, path: Floats, hour: int, state: Floats
) -> None:
    """Fill a path of independent variables from `hour` on, away from hour 0; `state` (R, D, W), of the hour
    before, moves along.
    """
    hours, sides, states, _ = path.shape
    step, noise = np.empty((states, states)), np.empty((states, states))
    normals = np.empty((sides, states, space.variables))
    transition(space, 1.0, step)
    process_noise(space, 1.0, noise)
    factor, start = semidefinite_factor(noise), semidefinite_factor(space.stationary)
    while (direction > 0 and hour < first_hour + hours) or (direction < 0 and hour >= first_hour):
        keyed_normals(seed, PATH, hour, 0, normals.reshape(normals.size))
        _innovate(state, step, factor if hour else start, normals, hour != 0)
        if hour == 0 and direction < 0:
            reverse_time(space, state)
        if first_hour <= hour < first_hour + hours:
            path[hour - first_hour] = state
            if direction < 0:
                reverse_time(space, path[hour - first_hour])
        hour += direction


@compiled
def reverse_time(space: StateSpace, state: Floats) -> None:
    """Negate the odd derivatives of tables (R, D, W)."""
    for c in range(state.shape[1]):
        if (c - space.start[space.component[c]]) % 2 == 1:
            state[:, c] *= -1.0


@compiled
def filtered_values(
    space: StateSpace,
    path: Floats,
    first_hour: int,
    time_hours: Floats,
    variable: Integers,
    order: Integers,
    seed: int,
) -> Floats:
    """y* of the rows in `order` (u,), in which they became known, on an hourly path: (u, R).

    Whatever was measured in the same whole hour as one of them, and known before, must be among them.
    """
    sides, hour = path.shape[1], np.floor(time_hours[order]).astype(np.int64)
    values = np.empty((len(order), sides))
    by_hour = np.argsort(hour, kind="mergesort")  # stable: within an hour as they became known
    start = 0
    while start < len(order):
        now, stop = hour[by_hour[start]], start + 1
        while stop < len(order) and hour[by_hour[stop]] == now:
            stop += 1
        rows = order[by_hour[start:stop]]
        normals, out = np.empty((len(rows), sides)), np.empty((len(rows), sides))
        for i in range(len(rows)):
            keyed_normals(seed, BRIDGE, now, i, normals[i])
        left, right = path[now - first_hour], path[now - first_hour + 1]
        bridge(space, float(now), now + 1.0, left, right, time_hours[rows], variable[rows], normals, out)
        values[by_hour[start:stop]] = out
        start = stop
    return values


@compiled
def keyed_normals(seed: int, stream: int, hour: int, index: int, out: Floats) -> None:
    """Standard normals (k,) that are a function of the four keys: splitmix64 and Box-Muller."""
    key = _mixed(np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15))
    for part in (stream, hour, index):
        key = _mixed(key ^ np.uint64(part))
    for pair in range((len(out) + 1) // 2):
        first, second = _mixed(key + np.uint64(2 * pair)), _mixed(key + np.uint64(2 * pair + 1))
        radius = np.sqrt(-2.0 * np.log((np.float64(first >> np.uint64(11)) + 1.0) * 2.0**-53))
        angle = 2.0 * np.pi * np.float64(second >> np.uint64(11)) * 2.0**-53
        out[2 * pair] = radius * np.cos(angle)
        if 2 * pair + 1 < len(out):
            out[2 * pair + 1] = radius * np.sin(angle)


@compiled
def _mixed(state: np.uint64) -> np.uint64:
    """One output of splitmix64 from the counter `state`."""
    z = state * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
