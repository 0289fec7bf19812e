"""The filter over a stay's grid hours, from its admission or from the hour at which it stopped.

Both are one function, so that a stay that is scored every hour has the same bits as one that is scored at its
end.

    n  observations     T  grid hours     R  draws     D  temporal states     W  width, M variables padded
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.mgp.filter import Gains, States, gains_from, means_from
from models.mgp.hourly_draws import Simulation, filtered_values, hourly_path, lengthen
from models.mgp.schedule import Order, Tape, as_known, sharing_hours
from models.mgp.statespace import StateSpace

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class FilterRun(NamedTuple):
    """`mean`, `variance` (T, W) and `draws` (R, T, W) of grid hours, and what made them: the first right-hand
    side of `innovation` (u, 1 + R) is the values', the others the draws'.
    """

    mean: Floats
    variance: Floats
    draws: Floats
    tape: Tape
    gains: Gains
    innovation: Floats


class Memory(NamedTuple):
    """What the filter needs to go on: `order`, `states`, and `sought` (n, 1 + R), a row's value and its
    distances from what was simulated for it.
    """

    order: Order
    states: States
    sought: Floats


class HourlyPath:
    """Draws from the prior on whole hours, made as far as they are asked for; the same for every stay."""

    def __init__(self, space: StateSpace, draws: int, seed: int) -> None:
        self.draws = draws
        self._space, self._seed = space, seed
        self._first, self._last = 0, -1
        self._path = np.empty((0, draws, len(space.stationary), len(space.noise)))
        self._state = np.zeros(self._path.shape[1:])

    def through(self, time_hours: Floats, hours: int) -> Simulation:
        """The path around observations at `time_hours` (n,) and grid hours 1 .. `hours`."""
        if self.draws == 0:
            return Simulation(self._path, 0, self._seed)
        first = last = 0
        if len(time_hours):
            first, last = int(np.floor(time_hours.min())), int(np.floor(time_hours.max())) + 1
        self._reach(min(first, self._first), max(last, hours, self._last))
        return Simulation(self._path[: self._last - self._first + 1], self._first, self._seed)

    def _reach(self, first: int, last: int) -> None:
        if first < self._first:
            self._path = hourly_path(self._space, first, -1, self.draws, self._seed)
            self._first, self._last, self._state = first, -1, np.zeros_like(self._state)
        if last == self._last:
            return
        before, needed = self._last + 1 - first, last + 1 - first
        if needed > len(self._path):
            longer = np.empty((max(needed, 2 * before), *self._path.shape[1:]))
            longer[:before] = self._path[:before]
            self._path = longer
        lengthen(self._space, self._path[:needed], first, self._last + 1, self._state, self._seed)
        self._last = last


@compiled
def filter_hours(
    space: StateSpace,
    simulation: Simulation,
    time_hours: Floats,
    variable: Integers,
    value: Floats,
    known: Integers,
    memory: Memory,
    begun: int,
    hours: int,
    lasting: bool,
) -> FilterRun:
    """Grid hours hours + 1 .. hours + T of rows (n,), `known` (T,) of them by each, the first `begun` already
    in; `memory` moves along. Nothing can follow unless the run is `lasting`.
    """
    path, last = simulation.path, known[-1] if len(known) else begun
    grid_hours = hours + np.arange(1.0, len(known) + 1.0)
    tape = as_known(time_hours, variable, value, known, grid_hours, memory.order, begun, lasting)
    run = gains_from(space, tape, variable, memory.states.covariance)
    _seek(space, simulation, time_hours, variable, value, memory, begun, last)
    states = memory.states
    forward = means_from(space, tape, run, variable, memory.sought, states.mean, states.likelihood)
    draws = np.empty((path.shape[1], len(known), len(space.noise)))
    for r in range(len(draws)):
        for t in range(len(known)):
            draws[r, t] = forward.mean[t, 1 + r]
            for s in range(len(space.start)):
                draws[r, t] += path[hours + t + 1 - simulation.first_hour, r, space.start[s]]
    return FilterRun(forward.mean[:, 0].copy(), run.variance, draws, tape, run, forward.innovation)


@compiled
def _seek(
    space: StateSpace,
    simulation: Simulation,
    time_hours: Floats,
    variable: Integers,
    value: Floats,
    memory: Memory,
    begun: int,
    last: int,
) -> None:
    """The right-hand sides of the rows begun .. last - 1."""
    path, sought = simulation.path, memory.sought
    for i in range(begun, last):
        sought[i, 0] = value[i]
    if path.shape[1] == 0:
        return
    rows = sharing_hours(memory.order, time_hours, begun, last)
    simulated = filtered_values(
        space, path, simulation.first_hour, time_hours, variable, rows, simulation.seed
    )
    for i in range(len(rows)):
        for r in range(path.shape[1]):
            sought[rows[i], 1 + r] = value[rows[i]] - simulated[i, r]
