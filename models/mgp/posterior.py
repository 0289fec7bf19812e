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
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.clinical.errors import InvalidInput
from models.compiled import compiled
from models.mgp.adjoint import attached, reverse_deviation, reverse_filtered, reverse_posterior, wide
from models.mgp.blocks import Blocks, Cuts, cut, factorise
from models.mgp.draws import deviation
from models.mgp.filter import gains, prior_states
from models.mgp.hourly import HourlyPath, Memory, filter_hours
from models.mgp.kernel import Kernel
from models.mgp.kernel_gradient import KernelGradient
from models.mgp.observations import Column as Column  # noqa: PLC0414 offered here too
from models.mgp.observations import Observations as Observations  # noqa: PLC0414 offered here too
from models.mgp.observations import Observed as Observed  # noqa: PLC0414 offered here too
from models.mgp.observations import check_draws, counts_of, rows_in_order, rows_of
from models.mgp.schedule import CHECKPOINTS, in_time_order, no_order
from models.mgp.smoother import add_later, log_likelihood, weigh, whiten
from models.mgp.statespace import StateSpace, has_state_space, state_space
from models.mgp.variance import smoothed_variance

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


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
        Raises InvalidInput if `draws` is below 0.
        """


@dataclass(frozen=True, eq=False)
class SmoothedPosterior(Posterior):
    """A posterior by the state-space engine; `factor` of the problem's rows where somebody has it.

    Mean, log likelihood and draws carry gradients where `kernel` is given; the variance carries none.
    """

    problem: Problem
    factor: tuple[Cuts, Blocks] | None = None
    kernel: Kernel | None = None

    @cached_property
    def variance(self) -> Tensor:
        """Computed once, at a cost of W^3 a grid hour."""
        space, time, variable, _, grid = self.problem
        run = gains(space, in_time_order(time), variable)
        return self._tensor(smoothed_variance(space, time, variable, run, grid))

    def sample(self, draws: int, generator: torch.Generator | None = None) -> Tensor:
        """Simulated and smoothed, O(n + T) a draw."""
        check_draws(draws)
        space, time, variable, _, grid = self.problem
        cuts, blocks = self._factor
        path_shape = (len(cuts.hours), draws, len(space.stationary), space.variables)
        count = prod(path_shape)
        normals = torch.randn(count + len(time) * draws, generator=generator).numpy()
        simulation = (
            space, cuts, blocks, variable,
            normals[:count].reshape(path_shape), normals[count:].reshape(len(time), draws),
        )  # fmt: skip

        def reverse(bar: Tensor) -> tuple[KernelGradient, None]:
            return reverse_deviation(*simulation, time, wide(bar, space, (draws, len(grid)))), None

        moved = torch.empty(draws, len(grid), space.variables, dtype=self.mean.dtype)
        deviation(*simulation, moved.numpy())
        if self.kernel is not None:
            (moved,) = attached(self.kernel, space, None, (moved,), reverse)
        return self.mean + moved

    @cached_property
    def _factor(self) -> tuple[Cuts, Blocks]:
        return self.factor or _factor_alone(*self.problem)

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
    [0, M) or not whole, columns of different length and a grid that decreases.
    """
    return posteriors(kernel, [Observations(time_hours, variable, value)], [grid_hours])[0]


def posteriors(kernel: Kernel, stays: Sequence[Observed], grids: Sequence[Column]) -> list[Posterior]:
    """`posterior` of many stays; what one of them is never depends on the others.

    Raises InvalidInput as it does, and where there is not one grid a stay.
    """
    if len(stays) != len(grids):
        lengths = len(stays), len(grids)
        message = f"{lengths[0]} stays and {lengths[1]} grids"
        raise InvalidInput(message, value=lengths, bound="one grid a stay")
    pairs = zip(stays, grids, strict=True)
    if not has_state_space(kernel):
        from models.mgp.dense import dense_posterior  # noqa: PLC0415  gpytorch is slow to load

        rows = [rows_in_order(kernel, stay, grid)[0] for stay, grid in pairs]
        return [dense_posterior(kernel, *map(torch.from_numpy, row)) for row in rows]
    return [_posterior(kernel, stay, grid) for stay, grid in pairs]


def filtered(
    kernel: Kernel,
    stays: Sequence[Observed],
    draws: int = 0,
    seed: int = 0,
    *,
    path: HourlyPath | None = None,
) -> list[Filtered]:
    """The filtered posterior of each stay on its grid hours, with `draws` that depend on (stay, seed) alone.

    A result that becomes known late enters at the time it was measured, from the hour on in which it is
    known. Rows known by the same hour may stand in any order. Calls of one kernel, `draws` and `seed` may
    share their `path`. Raises InvalidInput as `posterior` does, and for `known` that decreases or exceeds n.
    """
    space = state_space(kernel)
    rows = [rows_of(kernel, stay) for stay in stays]
    counts = [counts_of(stay, len(time)) for stay, (time, _, _) in zip(stays, rows, strict=True)]
    path = path or HourlyPath(space, draws, seed)
    return [
        _filtered(kernel, stay, row, known, path)
        for stay, row, known in zip(stays, rows, counts, strict=True)
    ]


def _posterior(kernel: Kernel, stay: Observed, grid_hours: Column) -> Posterior:
    rows, order = rows_in_order(kernel, stay, grid_hours)
    space = state_space(kernel)
    problem = Problem(space, *rows)
    factor, mean, likelihood = _smooth(*problem)

    def reverse(mean_bar: Tensor | None, likelihood_bar: Tensor | None) -> tuple[KernelGradient, Floats]:
        by_likelihood = 0.0 if likelihood_bar is None else float(likelihood_bar)
        by_mean = wide(mean_bar, space, mean.shape[:1])
        gradient, sorted_bar = reverse_posterior(*problem[:4], *factor, by_mean, by_likelihood)
        value_bar = np.empty_like(sorted_bar)
        value_bar[order] = sorted_bar
        return gradient, value_bar

    narrow = torch.from_numpy(mean[:, : space.variables]).to(kernel.dtype)
    outputs = narrow, torch.tensor(likelihood, dtype=kernel.dtype)
    found, log_likelihood = attached(kernel, space, stay.value, outputs, reverse)
    return SmoothedPosterior(found, log_likelihood, problem, factor, kernel)


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


@compiled
def _smooth(
    space: StateSpace, time_hours: Floats, variable: Integers, value: Floats, grid_hours: Floats
) -> tuple[tuple[Cuts, Blocks], Floats, float]:
    """The factor, mean (T, W) and log likelihood of rows in order of time."""
    cuts, states, width = cut(time_hours, grid_hours), len(space.stationary), len(space.noise)
    hours = len(grid_hours)
    table, mean = np.empty((hours, states * width, states * width)), np.empty((hours, 1, width))
    blocks, adjoint = factorise(space, cuts, time_hours, variable, table), np.empty((hours, 1, states, width))
    white = whiten(space, cuts, blocks, variable, value.reshape(len(value), 1), mean)
    weigh(cuts, blocks, variable, white, adjoint)
    add_later(space, table, adjoint[:, 0], mean[:, 0])
    return (cuts, blocks), mean[:, 0].copy(), log_likelihood(cuts, blocks, white)


@compiled
def _factor_alone(
    space: StateSpace, time_hours: Floats, variable: Integers, _: Floats, grid_hours: Floats
) -> tuple[Cuts, Blocks]:
    cuts, states, width = cut(time_hours, grid_hours), len(space.stationary), len(space.noise)
    nothing = np.empty((0, states * width, states * width))
    return cuts, factorise(space, cuts, time_hours, variable, nothing)
