"""The exact posterior of the process: smoothed over a grid, or filtered hour by hour as things became known.

    posterior     every grid time from all observations
    filtered      grid hour h from what was known by h, which no later hour rewrites

Both cost O(n + T) in the observations and grid hours of a stay. Everything is computed in float64 and handed
out in the kernel's type. A stay's result is the same bits whatever it is computed beside.

    n  observations     T  grid hours     M  variables     B  stays
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.clinical.errors import InvalidInput
from models.compiled import compiled
from models.mgp.adjoint import attached, reverse_deviation, reverse_filtered, reverse_posterior, wide
from models.mgp.draws import anchors, prior_path, simulated_values
from models.mgp.filter import Gains, gains, means, prior_states
from models.mgp.filter_adjoint import KernelGradient
from models.mgp.hourly import HourlyPath, Memory, filter_hours
from models.mgp.kernel import Kernel
from models.mgp.schedule import CHECKPOINTS, in_time_order, no_order
from models.mgp.smoother import add_later, run_forward, smoothed_mean, smoothed_variance, weigh
from models.mgp.statespace import StateSpace, has_state_space, state_space

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Rows = tuple[Floats, Integers, Floats, Floats]
Column = Tensor | npt.NDArray[np.generic] | Sequence[float]


class Observed(Protocol):
    """What `filtered` reads of a stay, an `EncodedStay` for one: rows in the order they became known, and how
    many of them each hour may use."""

    @property
    def time_hours(self) -> Column:
        """(n,) hours since admission."""

    @property
    def variable(self) -> Column:
        """(n,) in [0, M)."""

    @property
    def value(self) -> Column:
        """(n,) on the process's scale."""

    @property
    def known(self) -> Column:
        """(T,) rows known by grid hour 1, 2, ..., T; not decreasing."""


@dataclass(frozen=True)
class Observations:
    """`time_hours`, `variable` in [0, M) and `value` (n,): in any order where nothing asks what was known
    when, else in the order they became known, `known` (T,) of them by grid hour 1 .. T.
    """

    time_hours: Column
    variable: Column
    value: Column
    known: Column = ()


class Problem(NamedTuple):
    """A stay as the engine takes it: rows (n,) in order of (time, variable, value), and the grid (T,)."""

    space: StateSpace
    time_hours: Floats
    variable: Integers
    value: Floats
    grid_hours: Floats


@dataclass(frozen=True, eq=False)
class Posterior(ABC):
    """`mean` (T, M) of the process itself, noise left out; `log_likelihood` of the observed values, ().

    `variance` and draws are computed when they are asked for.
    """

    mean: Tensor
    log_likelihood: Tensor

    @property
    @abstractmethod
    def variance(self) -> Tensor:
        """The posterior variance of the process, noise left out: (T, M)."""

    @abstractmethod
    def sample(self, draws: int, generator: torch.Generator | None = None) -> Tensor:
        """Draws from the joint posterior over all grid times and variables: (draws, T, M).

        The normals are float32 whatever the kernel's type, so that both types draw the same courses.
        """


@dataclass(frozen=True, eq=False)
class SmoothedPosterior(Posterior):
    """A posterior by the state-space engine; `gains` of the problem's rows where somebody has them.

    Mean, log likelihood and draws carry gradients where `kernel` is given; the variance carries none.
    """

    problem: Problem
    gains: Gains | None = None
    kernel: Kernel | None = None

    @cached_property
    def variance(self) -> Tensor:
        """Computed once, at a cost of W^3 a grid hour."""
        space, time, variable, _, grid = self.problem
        return self._tensor(smoothed_variance(space, time, variable, self._gains, grid))

    def sample(self, draws: int, generator: torch.Generator | None = None) -> Tensor:
        """Simulated and smoothed, O(n + T) a draw."""
        space, time, variable, _, grid = self.problem
        anchored = anchors(time, grid)
        per_anchor = (draws, len(space.stationary), space.variables)
        count = len(anchored) * int(np.prod(per_anchor))
        normals = torch.randn(count + len(time) * draws, generator=generator).numpy()
        simulation = (
            space, time, variable, self._gains, grid, anchored,
            normals[:count].reshape(len(anchored), *per_anchor), normals[count:].reshape(len(time), draws),
        )  # fmt: skip

        def reverse(bar: Tensor) -> tuple[KernelGradient, None]:
            return reverse_deviation(*simulation, wide(bar, space, (draws, len(grid)))), None

        deviation = self._tensor(_deviation(*simulation))
        if self.kernel is not None:
            (deviation,) = attached(self.kernel, space, None, (deviation,), reverse)
        return self.mean + deviation

    @cached_property
    def _gains(self) -> Gains:
        return self.gains or _gains_in_order(self.problem)

    def _tensor(self, wide: Floats) -> Tensor:
        return torch.from_numpy(wide[..., : self.problem.space.variables]).to(self.mean.dtype)


@dataclass(frozen=True, eq=False)
class Filtered:
    """`mean`, `variance` (T, M) of the process at grid hour 1 .. T, noise left out, each from what was known
    by it; `draws` (D, T, M): hour h of a draw is from that hour's posterior, and its errors move from hour to
    hour as the filter's do.
    """

    mean: Tensor
    variance: Tensor
    draws: Tensor


def posterior(
    kernel: Kernel, time_hours: Column, variable: Column, value: Column, grid_hours: Column
) -> Posterior:
    """The exact posterior of one stay at `grid_hours` (T,), not decreasing, from all rows (n,), in any order.

    No rows give the prior. Raises InvalidInput for a time or value that is not finite, a variable outside
    [0, M), columns of different length and a grid that decreases.
    """
    return posteriors(kernel, [Observations(time_hours, variable, value)], [grid_hours])[0]


def posteriors(kernel: Kernel, stays: Sequence[Observed], grids: Sequence[Column]) -> list[Posterior]:
    """`posterior` of many stays; what one of them is never depends on the others."""
    pairs = zip(stays, grids, strict=True)
    if not has_state_space(kernel):
        from models.mgp.dense import dense_posterior  # noqa: PLC0415  gpytorch is slow to load

        rows = [_rows_in_order(kernel, stay, grid)[0] for stay, grid in pairs]
        return [dense_posterior(kernel, *map(torch.from_numpy, row)) for row in rows]
    return [_posterior(kernel, stay, grid) for stay, grid in pairs]


def filtered(kernel: Kernel, stays: Sequence[Observed], draws: int = 0, seed: int = 0) -> list[Filtered]:
    """The filtered posterior of each stay on its grid hours, with `draws` that depend on (stay, seed) alone.

    A result that becomes known late enters at the time it was measured, from the hour on in which it is
    known. Rows known by the same hour may stand in any order. Raises InvalidInput as `posterior` does, and
    for `known` that decreases or exceeds n.
    """
    space = state_space(kernel)
    rows = [rows_of(kernel, stay) for stay in stays]
    counts = [counts_of(stay, len(time)) for stay, (time, _, _) in zip(stays, rows, strict=True)]
    path = HourlyPath(space, draws, seed)
    return [
        _filtered(kernel, stay, row, known, path)
        for stay, row, known in zip(stays, rows, counts, strict=True)
    ]


def _posterior(kernel: Kernel, stay: Observed, grid_hours: Column) -> Posterior:
    rows, order = _rows_in_order(kernel, stay, grid_hours)
    space = state_space(kernel)
    problem = Problem(space, *rows)
    run, mean, likelihood = _smooth(*problem)

    def reverse(mean_bar: Tensor | None, likelihood_bar: Tensor | None) -> tuple[KernelGradient, Floats]:
        by_likelihood = 0.0 if likelihood_bar is None else float(likelihood_bar)
        by_mean = wide(mean_bar, space, mean.shape[:1])
        gradient, sorted_bar = reverse_posterior(*problem, run, by_mean, by_likelihood)
        value_bar = np.empty_like(sorted_bar)
        value_bar[order] = sorted_bar
        return gradient, value_bar

    narrow = torch.from_numpy(mean[:, : space.variables]).to(kernel.dtype)
    outputs = narrow, torch.tensor(likelihood, dtype=kernel.dtype)
    found, log_likelihood = attached(kernel, space, stay.value, outputs, reverse)
    return SmoothedPosterior(found, log_likelihood, problem, run, kernel)


def _filtered(
    kernel: Kernel,
    stay: Observed,
    rows: tuple[Floats, Integers, Floats],
    known: Integers,
    path: HourlyPath,
) -> Filtered:
    space = state_space(kernel)
    count, sides = len(rows[0]), 1 + path.draws
    simulation = path.through(rows[0][: known[-1] if len(known) else 0], len(known))
    states = prior_states(space, CHECKPOINTS + 1, sides)
    memory = Memory(no_order(count), states, np.zeros((count, sides)))
    run = filter_hours(space, simulation, *rows, known, memory, 0, 0, False)

    def reverse(*bars: Tensor | None) -> tuple[KernelGradient, Floats]:
        by_output = (wide(bar, space, one.shape[:-1]) for bar, one in zip(bars, run[:3], strict=True))
        return reverse_filtered(space, simulation, *rows[:2], run.tape, run.gains, run.innovation, *by_output)

    return Filtered(*attached(kernel, space, stay.value, tensors_of(kernel, *run[:3]), reverse))


def tensors_of(kernel: Kernel, *wide_results: Floats) -> tuple[Tensor, ...]:
    """Results (..., W) of the engine as tensors (..., M) of the kernel's type."""
    return tuple(torch.from_numpy(one[..., : kernel.variables]).to(kernel.dtype) for one in wide_results)


def _rows_in_order(kernel: Kernel, stay: Observed, grid_hours: Column) -> tuple[Rows, Integers]:
    """Time, variable and value (n,) in order of all three, and the grid (T,); where each row stood."""
    time, variable, value = rows_of(kernel, stay)
    grid = _floats(grid_hours)
    if not (np.isfinite(grid).all() and (np.diff(grid) >= 0).all()):
        raise InvalidInput(
            "grid_hours must be finite and not decrease", value=grid, bound="finite, sorted", unit="h"
        )
    order = np.lexsort((value, variable, time))
    return (time[order], variable[order], value[order], grid), order


def rows_of(kernel: Kernel, stay: Observed) -> tuple[Floats, Integers, Floats]:
    """A stay's columns (n,) as arrays. Raises InvalidInput, naming the row."""
    time, variable, value = _floats(stay.time_hours), _integers(stay.variable), _floats(stay.value)
    if not len(time) == len(variable) == len(value):
        lengths = len(time), len(variable), len(value)
        raise InvalidInput(f"{lengths} times, variables and values", value=lengths, bound="one each a row")
    row = _first_bad(time, variable, value, kernel.variables)
    if row < len(time):
        bad = float(time[row]), int(variable[row]), float(value[row])
        raise InvalidInput(
            f"row {row} has time {bad[0]} h, variable {bad[1]} and value {bad[2]}",
            value=bad,
            bound=f"finite times and values, variables in [0, {kernel.variables})",
        )
    return time, variable, value


def counts_of(stay: Observed, rows: int) -> Integers:
    """How many of a stay's `rows` each grid hour may use: (T,). Raises InvalidInput."""
    known = _integers(stay.known)
    if len(known) and not (known[0] >= 0 and known[-1] <= rows and (np.diff(known) >= 0).all()):
        raise InvalidInput(
            f"known counts {known} of {rows} rows", value=known, bound=f"0 .. {rows}, not decreasing"
        )
    return known


def _floats(column: Column) -> Floats:
    return np.ascontiguousarray(_detached(column), dtype=np.float64)


def _integers(column: Column) -> Integers:
    return np.ascontiguousarray(_detached(column), dtype=np.int64)


def _detached(column: Column) -> Column:
    return column.detach().numpy() if isinstance(column, Tensor) else column


@compiled
def _first_bad(time_hours: Floats, variable: Integers, value: Floats, variables: int) -> int:
    """The first row that is not finite or of no variable; n if there is none."""
    for i in range(len(time_hours)):
        if not (np.isfinite(time_hours[i]) and np.isfinite(value[i]) and 0 <= variable[i] < variables):
            return i
    return len(time_hours)


@compiled
def _smooth(
    space: StateSpace, time_hours: Floats, variable: Integers, value: Floats, grid_hours: Floats
) -> tuple[Gains, Floats, float]:
    """Gains, mean (T, W) and log likelihood of rows in order of time."""
    forward = run_forward(space, time_hours, variable, value, grid_hours)
    weights = weigh(space, time_hours, variable, forward.gains, forward.innovation, grid_hours)
    mean = add_later(space, forward, weights.adjoint)
    return forward.gains, mean, forward.log_likelihood


def _gains_in_order(problem: Problem) -> Gains:
    tape = in_time_order(problem.time_hours)
    return gains(problem.space, tape, problem.variable)


@compiled
def _deviation(
    space: StateSpace,
    time_hours: Floats,
    variable: Integers,
    run: Gains,
    grid_hours: Floats,
    anchor_hours: Floats,
    path_normals: npt.NDArray[np.float32],
    value_normals: npt.NDArray[np.float32],
) -> Floats:
    """f* - E[f | y*] at the grid, what a draw adds to the mean: (R, T, W)."""
    path = prior_path(space, anchor_hours, path_normals)
    value = simulated_values(space, anchor_hours, path, time_hours, variable, value_normals)
    forward = means(space, in_time_order(time_hours), run, variable, value)
    weights = weigh(space, time_hours, variable, run, forward.innovation, grid_hours)
    mean = smoothed_mean(space, time_hours, variable, weights, grid_hours)
    out = np.empty((value.shape[1], len(grid_hours), mean.shape[2]))
    at = np.searchsorted(anchor_hours, grid_hours)
    for t in range(len(grid_hours)):
        for r in range(len(out)):
            for w in range(mean.shape[2]):
                out[r, t, w] = -mean[t, r, w]
            for s in range(len(space.start)):
                for w in range(mean.shape[2]):
                    out[r, t, w] += path[at[t], r, space.start[s], w]
    return out
