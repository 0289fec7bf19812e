"""A stay that is told one observation at a time, at a cost that does not grow with the stay.

The filter's state after the newest observation is all that a later one, or a prediction, needs. What else is
kept serves results that come late: the observations, in order of (time, variable, value), and copies of the
state at a few places among them. A late observation restores the newest copy from before its place, and what
was observed since is repeated. So the state is the same bits whatever the order of arrival.

    slot i holds the newest copy after c observations with c / STRIDE an odd multiple of 2^i

so that copies are dense near the present. A result that is k observations late repeats at most 4 (k + STRIDE)
of them, on average 1.2 (k + STRIDE), as far back as 32,768; beyond, it may repeat the whole stay.

    n  observations    D  temporal states    W  width (variables, padded)    T  grid hours
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.clinical.errors import InvalidInput
from models.compiled import compiled
from models.mgp.covariance import ROOTS, Covariance, observe, prior_covariance, process_variance
from models.mgp.filter import LOG_TWO_PI, correct, process_mean
from models.mgp.kernel import Kernel
from models.mgp.observations import Column
from models.mgp.posterior import Posterior, Problem, SmoothedPosterior, posterior
from models.mgp.statespace import StateSpace, state_space, transition

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# a copy costs as much as a few observations; there the covariance has just been settled, so its table is all
STRIDE = 4 * ROOTS
CHECKPOINTS = 12
_FIRST_ROWS = 64  # room for a quiet day before the columns double


class _Columns(NamedTuple):
    """The observations in order, `time` and `value` (rows,), `variable` (rows,); the first n are in use."""

    time: Floats
    variable: Integers
    value: Floats


class _Filter(NamedTuple):
    """Covariance and `mean` x (1, D, W) just after the newest observation; `likelihood` (1,) of all."""

    covariance: Covariance
    mean: Floats
    likelihood: Floats


class _Copies(NamedTuple):
    """`table` P (CHECKPOINTS, D, W, D, W), `mean` and `likelihood` of each slot, `after` so many observations
    (0 if it is empty).
    """

    table: Floats
    mean: Floats
    likelihood: Floats
    after: Integers


class _Scratch(NamedTuple):
    """Room for one step: F (D, D), gain (D, W), value and innovation (1,)."""

    step: Floats
    gain: Floats
    value: Floats
    innovation: Floats


class State:
    """What is known of one stay.

    Takes 8 (CHECKPOINTS + 1) (D W)^2 bytes at most, whatever the number of observations (0.24 MB at M = 44
    and one Matern-1/2 time scale, 0.96 MB with two), and 24 bytes an observation. Gradients do not flow.
    Raises InvalidInput for a kernel without a state-space form.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = _without_gradients(kernel)
        self._space = state_space(self.kernel)
        states, width = len(self._space.stationary), len(self._space.noise)
        self._count = 0
        self._columns = _columns(_FIRST_ROWS)
        self._now = _Filter(prior_covariance(self._space), np.zeros((1, states, width)), np.zeros(1))
        self._copies = _Copies(
            np.zeros((CHECKPOINTS, states, width, states, width)),
            np.zeros((CHECKPOINTS, 1, states, width)),
            np.zeros((CHECKPOINTS, 1)),
            np.zeros(CHECKPOINTS, dtype=np.int64),
        )
        self._scratch = _Scratch(
            np.zeros((states, states)), np.zeros((states, width)), np.zeros(1), np.zeros(1)
        )

    def __len__(self) -> int:
        """n, how many observations it has been told."""
        return self._count

    def observe(self, time_hours: float, variable: int, value: float) -> None:
        """Take in one observation, on time or late: O((D M)^2) if none is newer.

        Raises InvalidInput, and changes nothing, for a time or value that is not finite and a variable
        outside [0, M).
        """
        if not (isfinite(time_hours) and isfinite(value) and variable in range(self._space.variables)):
            raise _refusal(time_hours, variable, value, self._space.variables)
        if self._count == len(self._columns.time):
            self._columns = _doubled(self._columns)
        _take(
            self._space, self._columns, self._now, self._copies, self._scratch,
            self._count, time_hours, variable, value,
        )  # fmt: skip
        self._count += 1

    def posterior(self, grid_hours: Column) -> Posterior:
        """The posterior at `grid_hours` (T,), not decreasing, given everything observed so far.

        It is `posterior` of all rows. Where the grid begins at or after the newest observation its mean and
        variance are predicted from the state, at a cost without n; any other grid is smoothed. Raises
        InvalidInput for a grid that is not finite or decreases.
        """
        columns, rows = self._columns, slice(self._count)
        time, variable, value = (
            columns.time[rows].copy(),
            columns.variable[rows].copy(),
            columns.value[rows].copy(),
        )
        grid = np.asarray(grid_hours, dtype=np.float64)
        ahead = grid - time[-1] if self._count else np.zeros(len(grid))
        if not (np.isfinite(grid).all() and (np.diff(grid) >= 0).all() and (ahead >= 0).all()):
            return posterior(self.kernel, time, variable, value, grid)
        mean, variance = (self._narrow(wide) for wide in _predict(self._space, self._now, ahead))
        likelihood = torch.tensor(self._now.likelihood[0], dtype=self.kernel.dtype)
        problem = Problem(self._space, time, variable, value, grid)
        return _Prediction(mean, likelihood, problem, predicted=variance)

    def _narrow(self, wide: Floats) -> Tensor:
        return torch.from_numpy(wide[:, : self._space.variables]).to(self.kernel.dtype)


@dataclass(frozen=True, eq=False)
class _Prediction(SmoothedPosterior):
    """A posterior whose variance is known already, `predicted` (T, M)."""

    predicted: Tensor = field(kw_only=True)

    @cached_property
    def variance(self) -> Tensor:
        """The posterior variance of the process, noise left out: (T, M)."""
        return self.predicted


def checkpoint_slot(count: int) -> int:
    """Where the copy after `count` observations is kept, `count` a positive multiple of STRIDE."""
    strides, slot = count // STRIDE, 0
    while strides % 2 == 0 and slot < CHECKPOINTS - 1:
        strides //= 2
        slot += 1
    return slot


_slot = compiled(checkpoint_slot)


@compiled
def _take(
    space: StateSpace,
    columns: _Columns,
    now: _Filter,
    copies: _Copies,
    scratch: _Scratch,
    count: int,
    time_hours: float,
    variable: int,
    value: float,
) -> None:
    """Put an observation in its place among `count`, and take in what stands from there on."""
    first = _insert(columns, count, time_hours, variable, value)
    if first < count:
        first = _restore(space, now, copies, first)
    for row in range(first, count + 1):
        _absorb(space, columns, now, scratch, row)
        if (row + 1) % STRIDE == 0:
            slot = _slot(row + 1)
            copies.table[slot] = now.covariance.table
            copies.mean[slot] = now.mean
            copies.likelihood[slot] = now.likelihood
            copies.after[slot] = row + 1


@compiled
def _insert(columns: _Columns, count: int, time_hours: float, variable: int, value: float) -> int:
    """Put an observation before those that are greater; its place."""
    row = count
    while row > 0:
        before = columns.time[row - 1]
        if before < time_hours or (
            before == time_hours and (columns.variable[row - 1], columns.value[row - 1]) <= (variable, value)
        ):
            break
        columns.time[row] = before
        columns.variable[row], columns.value[row] = columns.variable[row - 1], columns.value[row - 1]
        row -= 1
    columns.time[row], columns.variable[row], columns.value[row] = time_hours, variable, value
    return row


@compiled
def _restore(space: StateSpace, now: _Filter, copies: _Copies, first: int) -> int:
    """Set the state to the newest copy of at most `first` observations, or the prior; how many it has."""
    best, slot = 0, -1
    for other in range(len(copies.after)):
        if best < copies.after[other] <= first:
            best, slot = copies.after[other], other
    prior = prior_covariance(space)
    now.covariance.step[:] = prior.step
    now.covariance.noise[:] = prior.noise
    now.covariance.clock[:] = prior.clock
    if slot < 0:
        now.covariance.table[:] = prior.table
        now.mean[:] = 0.0
        now.likelihood[:] = 0.0
    else:
        now.covariance.table[:] = copies.table[slot]
        now.mean[:] = copies.mean[slot]
        now.likelihood[:] = copies.likelihood[slot]
    return best


@compiled
def _absorb(space: StateSpace, columns: _Columns, now: _Filter, scratch: _Scratch, row: int) -> None:
    """Take in the observation in `row`, the state standing at the row before."""
    gap = columns.time[row] - columns.time[row - 1] if row else 0.0
    m = columns.variable[row]
    transition(space, gap, scratch.step)
    spread = observe(space, now.covariance, scratch.step, gap, m, scratch.gain)
    scratch.value[0] = columns.value[row]
    correct(space, now.mean, scratch.step, scratch.gain, m, scratch.value, scratch.innovation)
    now.likelihood[0] -= 0.5 * (scratch.innovation[0] ** 2 / spread + np.log(spread) + LOG_TWO_PI)


@compiled
def _predict(space: StateSpace, now: _Filter, ahead_hours: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of the process at hours (T,) after the state: (T, W) each."""
    states, width = len(space.stationary), len(space.noise)
    step, hours = np.empty((states, states)), len(ahead_hours)
    mean, variance = np.empty((hours, 1, width)), np.empty((hours, width))
    for hour in range(hours):
        transition(space, ahead_hours[hour], step)
        process_mean(space, now.mean, step, mean[hour])
        process_variance(space, now.covariance, step, ahead_hours[hour], variance[hour])
    return mean[:, 0], variance


def _without_gradients(kernel: Kernel) -> Kernel:
    """The kernel itself where it has none, so that its state space is made once for all states."""
    parts = kernel.lengthscale_hours, kernel.task_covariance, kernel.noise
    if not any(part.requires_grad for part in parts):
        return kernel
    lengthscale, covariance, noise = (part.detach() for part in parts)
    return Kernel(kernel.temporal, lengthscale_hours=lengthscale, task_covariance=covariance, noise=noise)


def _columns(rows: int) -> _Columns:
    return _Columns(np.zeros(rows), np.zeros(rows, dtype=np.int64), np.zeros(rows))


def _doubled(columns: _Columns) -> _Columns:
    rows = len(columns.time)
    longer = _columns(2 * rows)
    for column, before in zip(longer, columns, strict=True):
        column[:rows] = before
    return longer


def _refusal(time_hours: float, variable: int, value: float, variables: int) -> InvalidInput:
    """The error for what `observe` does not take."""
    if variable not in range(variables):
        bound = f"[0, {variables})"
        return InvalidInput(f"variable {variable} is no whole number in {bound}", value=variable, bound=bound)
    name, number, unit = ("value", value, "") if isfinite(time_hours) else ("time_hours", time_hours, "h")
    return InvalidInput(
        f"an observation of variable {variable} has {name} {number}; expected a finite number",
        value=number,
        bound="finite",
        unit=unit,
    )
