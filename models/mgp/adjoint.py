"""Gradients of the engine for torch: each result of a stay is one node of the graph.

The engine computes in numpy; `attached` hangs its results into the graph with a function that runs it
backwards. Gradients reach the kernel's lengthscales, task covariance and noise, and the observed values. The
covariance's is that of a symmetric matrix: each of two equal entries carries half.

    n  observations     T  grid hours     M  variables     W  M padded     S  components
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.mgp.blocks import Blocks, Cuts
from models.mgp.draws import prior_path, simulated_values
from models.mgp.draws_adjoint import (
    add_process_bar,
    reverse_filtered_values,
    reverse_hourly_path,
    reverse_path,
    reverse_values,
)
from models.mgp.filter import Gains, gains, means
from models.mgp.filter_adjoint import reverse_means
from models.mgp.gains_adjoint import reverse_gains
from models.mgp.hourly_draws import Simulation
from models.mgp.kernel import Kernel
from models.mgp.kernel_gradient import KernelGradient, no_gradient
from models.mgp.schedule import Tape, first_uses, in_time_order
from models.mgp.smoother import weights
from models.mgp.smoother_adjoint import reverse_smoothed
from models.mgp.statespace import StateSpace
from models.mgp.statespace_adjoint import reverse_factor

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
# derivatives by the outputs, None where the loss does not use one -> by the kernel, and by the values (n,)
Reverse = Callable[..., tuple[KernelGradient, Floats | None]]


def attached(
    kernel: Kernel, space: StateSpace, value: object, outputs: tuple[Tensor, ...], reverse: Reverse
) -> tuple[Tensor, ...]:
    """`outputs` with gradients to the kernel and to `value` (n,), if it is a tensor, by way of `reverse`."""
    values = value if isinstance(value, Tensor) else torch.empty(0)
    sources = kernel.lengthscale_hours, kernel.task_covariance, kernel.noise, values
    if not (torch.is_grad_enabled() and any(source.requires_grad for source in sources)):
        return outputs
    attached_outputs: tuple[Tensor, ...] = _Attached.apply(*sources, space, reverse, *outputs)  # type: ignore[no-untyped-call]
    return attached_outputs


class _Attached(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, ...]:
        *sources, space, reverse = arguments[:6]
        ctx.sources, ctx.space, ctx.reverse = [source.detach() for source in sources], space, reverse
        ctx.set_materialize_grads(False)
        return tuple(output.clone() for output in arguments[6:])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *output_bars: Tensor | None) -> tuple[Tensor | None, ...]:
        gradient, value_bar = ctx.reverse(*output_bars)
        value, lengthscale = ctx.sources[3], ctx.sources[0].double().numpy()
        bars = kernel_bars(ctx.space, gradient, lengthscale)
        narrow = (torch.from_numpy(bar).to(like) for bar, like in zip(bars, ctx.sources, strict=False))
        value_tensor = torch.from_numpy(value_bar).to(value) if ctx.needs_input_grad[3] else None
        return *narrow, value_tensor, None, None, *(None for _ in output_bars)


def kernel_bars(space: StateSpace, gradient: KernelGradient, lengthscale: Floats) -> tuple[Floats, ...]:
    """The derivatives by lengthscale (S,), task covariance (S, M, M) and noise (M,)."""
    covariance = gradient.covariance.copy()
    for s in range(len(covariance)):
        if gradient.factor[s].any():
            covariance[s] += reverse_factor(space.factor[s], gradient.factor[s])
    narrow = covariance[:, : space.variables, : space.variables]
    symmetric = (narrow + narrow.transpose(0, 2, 1)) / 2
    return -gradient.rate * space.rate / lengthscale, symmetric, gradient.noise[: space.variables]


def wide(bar: Tensor | None, space: StateSpace, shape: tuple[int, ...]) -> Floats:
    """A derivative (..., M) as the engine's array (..., W); zeros of `shape` where there is none."""
    out = np.zeros((*shape, len(space.noise)))
    if bar is not None:
        out[..., : space.variables] = bar.numpy()
    return out


def reverse_posterior(
    space: StateSpace,
    time_hours: Floats,
    variable: Integers,
    value: Floats,
    cuts: Cuts,
    blocks: Blocks,
    mean_bar: Floats,
    likelihood_bar: float,
) -> tuple[KernelGradient, Floats]:
    """From `mean_bar` (T, W) and the derivative by the log likelihood of rows (n,) in order of time."""
    gradient, width = no_gradient(space), len(space.noise)
    values, value_bar = value.reshape(len(value), 1), np.zeros(len(value))
    if mean_bar.any():
        weight = weights(space, cuts, blocks, variable, values)
        sided = mean_bar.reshape(len(mean_bar), 1, width)
        value_bar += reverse_smoothed(space, cuts, blocks, time_hours, variable, weight, sided, gradient).sum(
            1
        )
    if likelihood_bar != 0.0:
        tape = in_time_order(time_hours)
        run = gains(space, tape, variable)
        innovation = means(space, tape, run, variable, values).innovation
        by_value, by_gain, by_spread = reverse_means(
            space, tape, run, variable, innovation, np.zeros((0, 1, width)), likelihood_bar, gradient
        )
        reverse_gains(space, tape, run, variable, by_gain, by_spread, np.zeros((0, width)), gradient)
        value_bar += by_value.sum(1)
    return gradient, value_bar


def reverse_deviation(
    space: StateSpace,
    cuts: Cuts,
    blocks: Blocks,
    variable: Integers,
    path_normals: npt.NDArray[np.floating],
    value_normals: npt.NDArray[np.floating],
    time_hours: Floats,
    bar: Floats,
) -> KernelGradient:
    """From `bar` (R, T, W), by f* - E[f | y*] at the grid."""
    gradient, path = no_gradient(space), prior_path(space, blocks, path_normals)
    value = simulated_values(space, cuts, blocks, path, variable, value_normals)
    weight = weights(space, cuts, blocks, variable, value)
    path_bar = np.zeros_like(path)
    add_process_bar(space, cuts.at, bar, path_bar)
    mean_bar = np.ascontiguousarray(-bar.swapaxes(0, 1))
    value_bar = reverse_smoothed(space, cuts, blocks, time_hours, variable, weight, mean_bar, gradient)
    reverse_values(space, cuts, blocks, path, variable, value_normals, value_bar, path_bar, gradient)
    reverse_path(space, cuts, blocks, path_normals, path_bar, gradient)
    return gradient


def reverse_filtered(
    space: StateSpace,
    simulation: Simulation,
    time_hours: Floats,
    variable: Integers,
    tape: Tape,
    run: Gains,
    innovation: Floats,
    mean_bar: Floats,
    variance_bar: Floats,
    draws_bar: Floats,
) -> tuple[KernelGradient, Floats]:
    """From `mean_bar`, `variance_bar` (T, W) and `draws_bar` (R, T, W) by a run on `tape` to values (n,)."""
    gradient = no_gradient(space)
    sided = np.concatenate([mean_bar[:, None], draws_bar.swapaxes(0, 1)], axis=1)
    value_bar, gain_bar, spread_bar = reverse_means(
        space, tape, run, variable, innovation, sided, 0.0, gradient
    )
    reverse_gains(space, tape, run, variable, gain_bar, spread_bar, variance_bar, gradient)
    if len(draws_bar):
        path_bar, simulated_bar = np.zeros_like(simulation.path), -value_bar[:, 1:]
        hours = np.arange(1, 1 + len(mean_bar)) - simulation.first_hour
        add_process_bar(space, hours, draws_bar, path_bar)
        reverse_filtered_values(
            space, simulation, time_hours, variable, first_uses(tape), simulated_bar, path_bar, gradient
        )
        reverse_hourly_path(space, simulation, path_bar, gradient)
    return gradient, value_bar.sum(1)
