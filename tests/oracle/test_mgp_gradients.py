"""Gradients of the linear-time engine against autograd through dense closed forms, and finite differences."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from models.mgp.kernel import Kernel
from models.mgp.likelihood import log_likelihood
from models.mgp.posterior import Observations, filtered, posteriors

HOURS, MEASURED, VARIABLES = 9, 40, 3
KERNELS = {
    "matern12": (("matern12",), VARIABLES),
    "matern32": (("matern32",), VARIABLES),
    "matern52": (("matern52",), VARIABLES),
    "two scales": (("matern12", "matern12"), VARIABLES),
    "matern12 and matern52": (("matern12", "matern52"), VARIABLES),
    "low rank": (("matern32",), 1),
}
Inputs = tuple[Tensor, Tensor, Tensor, Tensor]  # lengthscales, factors of B, noise, values


@dataclass(frozen=True)
class Stay:
    """Rows in the order they became known, some simultaneous, some of them late; `known` (T,) counts."""

    temporal: tuple[str, ...]
    time_hours: Tensor
    variable: Tensor
    known: Tensor
    inputs: Inputs

    def kernel(self, inputs: Inputs) -> Kernel:
        lengthscale, factor, noise, _ = inputs
        return Kernel(
            self.temporal, lengthscale_hours=lengthscale, task_covariance=factor @ factor.mT, noise=noise
        )

    def observations(self, value: Tensor) -> Observations:
        return Observations(self.time_hours, self.variable, value, self.known)


def _stay(name: str, measured: int = MEASURED, hours: int = HOURS) -> Stay:
    temporal, rank = KERNELS[name]
    generator = np.random.default_rng(7)
    time = np.sort(generator.uniform(0, hours, measured))
    time[1::5] = time[: len(time) - 1 : 5]
    time[-1] = np.floor(time[-1])  # on a grid hour
    known_hours = time + np.where(generator.random(measured) < 0.3, generator.uniform(0, 4, measured), 0.0)
    order = np.argsort(known_hours, kind="stable")
    inputs = (
        generator.uniform(1, 8, len(temporal)),
        generator.normal(size=(len(temporal), VARIABLES, rank)),
        generator.uniform(0.05, 0.4, VARIABLES),
        generator.normal(size=measured),
    )
    return Stay(
        temporal,
        torch.from_numpy(time[order]),
        torch.from_numpy(generator.integers(0, VARIABLES, measured)),
        torch.from_numpy(np.searchsorted(known_hours[order], np.arange(1.0, hours + 1), side="right")),
        tuple(torch.from_numpy(one).requires_grad_() for one in inputs),  # type: ignore[arg-type]
    )


def _covariance(kernel: Kernel, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
    task = kernel.task_covariance[:, first[1]][:, :, second[1]]
    return (task * kernel.correlation(first[0], second[0])).sum(0)


def _dense(
    kernel: Kernel, rows: tuple[Tensor, Tensor], value: Tensor, grid_hours: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance (T, M) and log likelihood by one Cholesky factor of all rows."""
    at = grid_hours.repeat_interleave(VARIABLES), torch.arange(VARIABLES).repeat(len(grid_hours))
    factor = torch.linalg.cholesky(_covariance(kernel, rows, rows) + torch.diag(kernel.noise[rows[1]]))
    whitened = torch.linalg.solve_triangular(factor, _covariance(kernel, rows, at), upper=False)
    z = torch.linalg.solve_triangular(factor, value.unsqueeze(1), upper=False)
    variance = kernel.prior_variance()[at[1]] - whitened.square().sum(0)
    likelihood = -0.5 * z.square().sum() - factor.diagonal().log().sum() - len(value) * np.log(2 * np.pi) / 2
    shape = len(grid_hours), VARIABLES
    return (whitened.mT @ z).view(shape), variance.view(shape), likelihood


def _weighted(*parts: Tensor) -> Tensor:
    """A scalar with a derivative of its own for every entry."""
    generator = torch.Generator().manual_seed(1)
    sums = [(part * torch.randn(part.shape, generator=generator).to(part)).sum() for part in parts]
    return torch.stack(sums).sum()


def _assert_same_gradients(stay: Stay, ours: Tensor, dense: Tensor) -> None:
    torch.testing.assert_close(ours, dense, rtol=1e-9, atol=1e-9)
    found = torch.autograd.grad(ours, stay.inputs, retain_graph=True)
    expected = torch.autograd.grad(dense, stay.inputs)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6 * float(other.abs().max()))


@pytest.mark.parametrize("name", KERNELS)
def test_smoothed_mean_and_likelihood_have_the_gradients_of_the_closed_form(name: str) -> None:
    stay, grid = _stay(name), torch.arange(0.5, HOURS + 2).double()
    kernel, value = stay.kernel(stay.inputs), stay.inputs[3]
    [ours] = posteriors(kernel, [stay.observations(value)], [grid])
    mean, _, likelihood = _dense(kernel, (stay.time_hours, stay.variable), value, grid)
    _assert_same_gradients(stay, _weighted(ours.mean, ours.log_likelihood), _weighted(mean, likelihood))


@pytest.mark.parametrize("name", KERNELS)
def test_filtered_mean_and_variance_have_the_gradients_of_each_hours_prefix(name: str) -> None:
    stay = _stay(name)
    kernel, value = stay.kernel(stay.inputs), stay.inputs[3]
    [ours] = filtered(kernel, [stay.observations(value)])
    means, variances = [], []
    for hour, known in enumerate(stay.known.tolist(), start=1):
        rows = stay.time_hours[:known], stay.variable[:known]
        mean, variance, _ = _dense(kernel, rows, value[:known], torch.tensor([float(hour)]).double())
        means.append(mean)
        variances.append(variance)
    dense = _weighted(torch.cat(means), torch.cat(variances))
    _assert_same_gradients(stay, _weighted(ours.mean, ours.variance), dense)


def _draws(stay: Stay) -> Callable[..., Tensor]:
    def draws(*inputs: Tensor) -> Tensor:
        kernel, grid = stay.kernel(inputs), torch.tensor([0.3, 1.0, 1.0, 3.5])  # type: ignore[arg-type]
        [found] = posteriors(kernel, [stay.observations(inputs[3])], [grid])
        return found.sample(2, torch.Generator().manual_seed(3))

    return draws


def _filtered_draws(stay: Stay) -> Callable[..., Tensor]:
    def draws(*inputs: Tensor) -> Tensor:
        kernel = stay.kernel(inputs)  # type: ignore[arg-type]
        return filtered(kernel, [stay.observations(inputs[3])], draws=2, seed=5)[0].draws

    return draws


@pytest.mark.parametrize("name", ["matern12", "matern12 and matern52"])
@pytest.mark.parametrize("function", [_draws, _filtered_draws])
def test_draws_have_the_gradients_of_finite_differences(
    function: Callable[[Stay], Callable[..., Tensor]], name: str
) -> None:
    stay = _stay(name, measured=7, hours=3)
    assert torch.autograd.gradcheck(function(stay), stay.inputs, eps=1e-6, atol=1e-6, rtol=1e-5)


def test_a_path_before_admission_has_the_gradients_of_finite_differences() -> None:
    stay = _stay("matern12 and matern52", measured=5, hours=2)
    early = Stay(stay.temporal, stay.time_hours - 2.0, stay.variable, stay.known, stay.inputs)
    assert torch.autograd.gradcheck(_filtered_draws(early), early.inputs, eps=1e-6, atol=1e-6, rtol=1e-5)


def test_float32_gradients_are_those_of_float64() -> None:
    stay = _stay("two scales", measured=200)
    single = tuple(one.detach().float().requires_grad_() for one in stay.inputs)
    for inputs in (stay.inputs, single):
        kernel = stay.kernel(inputs)  # type: ignore[arg-type]
        [found] = filtered(kernel, [stay.observations(inputs[3])])
        _weighted(found.mean, found.variance).backward()  # type: ignore[no-untyped-call]
    for one, other in zip(single, stay.inputs, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4, check_dtype=False)


def test_a_stays_gradient_is_the_same_bits_beside_other_stays() -> None:
    stay, other = _stay("matern32"), _stay("matern32", measured=12)
    kernel = stay.kernel(stay.inputs)
    value = stay.inputs[3]
    alone = torch.autograd.grad(log_likelihood(kernel, [stay.observations(value)]).sum(), [value])
    many = [
        other.observations(other.inputs[3]),
        stay.observations(value),
        other.observations(other.inputs[3]),
    ]
    beside = torch.autograd.grad(log_likelihood(kernel, many).sum(), [value])
    assert torch.equal(alone[0], beside[0])


def test_no_observation_leaves_the_gradient_of_the_prior() -> None:
    stay = _stay("matern12", measured=5)
    kernel, empty = stay.kernel(stay.inputs), torch.empty(0, dtype=torch.float64)
    [found] = filtered(kernel, [Observations(empty, empty.long(), empty, torch.zeros(4).long())])
    [gradient] = torch.autograd.grad(found.variance.sum(), [stay.inputs[1]])
    torch.testing.assert_close(gradient, 8.0 * stay.inputs[1])
