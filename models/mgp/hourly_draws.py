"""Draws from the prior on whole hours, for the filter: common random numbers.

The path comes from normals that are a function of (seed, hour) and the order of drawing, and an observation's
bridge from (seed, hour, how many of its hour were known before it). What becomes known later therefore
changes nothing that was simulated before.

    H  hours    u  observations asked for    R  draws    D  temporal states    S  components
    W  width, M variables padded

Source: Steele 2014 (doi:10.1145/2660193.2660195) for splitmix64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.mgp.bridges import bridge, bridge_parts, places
from models.mgp.draws import correlate, innovate
from models.mgp.products import advance_all
from models.mgp.spans import Spans, covariances, spans
from models.mgp.statespace import StateSpace, process_noise, semidefinite_factor, transition

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

PATH, BRIDGE = 1, 2  # streams of normals


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
        if hour != 0:
            advance_all(state, step)
        innovate(state, factor if hour else start, normals)
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
    values = np.empty((len(order), path.shape[1]))
    if len(order) == 0:
        return values
    told = by_hour(space, time_hours, variable, order)
    normals, out = hourly_normals(told, seed, path.shape[1]), np.empty(values.shape)
    rows = told.variable, places(told.since_hours, 1.0 - told.since_hours), told.parts, told.new
    for k in range(len(told.stop) - 1):
        left = told.hour[k] - first_hour
        bridge(space, path[left], path[left + 1], rows, told.stop[k], told.stop[k + 1], normals, out)
    for i in range(len(order)):
        for r in range(values.shape[1]):
            values[told.place[i], r] = out[i, r]
    return values


class Told(NamedTuple):
    """Rows (u,) hour by hour, within an hour as they became known: their `place` in the order in which they
    did, `variable` and `since_hours` their whole hour; `inside`, `parts` and `new` as in `bridges`; each
    `hour` (H,), and where its rows end, `stop` (H + 1,), which begins with 0.
    """

    place: Integers
    variable: Integers
    since_hours: Floats
    inside: Spans
    parts: Floats
    new: Floats
    hour: Integers
    stop: Integers


@compiled
def by_hour(space: StateSpace, time_hours: Floats, variable: Integers, order: Integers) -> Told:
    """The rows in `order` (u,), at least one, with what lies between whole hours."""
    count, states = len(order), len(space.component)
    floor = np.floor(time_hours[order])
    place = np.argsort(floor, kind="mergesort")  # stable: within an hour as they became known
    since, next_hour = time_hours[order][place] - floor[place], np.flatnonzero(np.diff(floor[place])) + 1
    stop = np.concatenate((np.zeros(1, np.int64), next_hour, np.full(1, count)))
    inside = spans(space, since, 1.0 - since)
    new = np.empty((len(space.rate), count, np.max(np.diff(stop))))
    step, noise, parts = np.empty((states, states)), np.empty((states, states)), np.empty((4, count, states))
    transition(space, 1.0, step)
    process_noise(space, 1.0, noise)
    bridge_parts(step, noise, inside, 0, count, parts)
    for k in range(len(stop) - 1):
        covariances(space, since, inside, stop[k], stop[k + 1], new)
    hour = floor[place][stop[:-1]].astype(np.int64)
    return Told(place, variable[order][place], since, inside, parts, new, hour, stop)


@compiled
def hourly_normals(told: Told, seed: int, draws: int) -> Floats:
    """What a row's bridge is drawn from: (u, R)."""
    normals = np.empty((len(told.place), draws))
    for k in range(len(told.hour)):
        for i in range(told.stop[k], told.stop[k + 1]):
            keyed_normals(seed, BRIDGE, told.hour[k], i - told.stop[k], normals[i])
    return normals


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
