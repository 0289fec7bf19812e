"""The exact marginal likelihood of stays, and learning the kernel by it."""

import numpy as np
import pytest
import torch

from models.clinical.errors import InvalidInput
from models.mgp.hyperparameters import Hyperparameters
from models.mgp.kernel import Kernel
from models.mgp.likelihood import fit, log_likelihood
from models.mgp.population import LinearMean
from models.mgp.posterior import Observations

LENGTHSCALE, NOISE = 6.0, 0.1
TASK = np.array([[1.0, 0.8], [0.8, 1.2]])


def _simulated(stays: int, rows: int, slope: float = 0.0) -> tuple[list[Observations], torch.Tensor]:
    """Stays of two variables drawn from a known process, and a static that shifts the first variable."""
    generator = np.random.default_rng(11)
    statics, made = generator.normal(size=(stays, 1)), []
    for static in statics[:, 0]:
        time, variable = np.sort(generator.uniform(0, 30, rows)), generator.integers(0, 2, rows)
        decay = np.exp(-np.abs(time[:, None] - time) / LENGTHSCALE)
        covariance = TASK[variable[:, None], variable] * decay + NOISE * np.eye(rows)
        value = np.linalg.cholesky(covariance) @ generator.normal(size=rows)
        value += slope * static * (variable == 0)
        columns = torch.from_numpy(time), torch.from_numpy(variable), torch.from_numpy(value)
        made.append(Observations(*columns))
    return made, torch.from_numpy(statics)


def test_likelihood_is_the_normal_density_of_each_stay() -> None:
    stays, _ = _simulated(stays=2, rows=30)
    kernel = Kernel(lengthscale_hours=LENGTHSCALE, task_covariance=TASK, noise=[NOISE, NOISE])
    found = log_likelihood(kernel, [*stays, Observations([], [], [])])
    for stay, one in zip(stays, found, strict=False):
        time, variable = torch.as_tensor(stay.time_hours), torch.as_tensor(stay.variable)
        covariance = kernel.task_covariance[0][variable][:, variable] * kernel.correlation(time, time)[0]
        normal = torch.distributions.MultivariateNormal(
            torch.zeros(30, dtype=torch.float64), covariance + NOISE * torch.eye(30)
        )
        expected = normal.log_prob(torch.as_tensor(stay.value))  # type: ignore[no-untyped-call]
        torch.testing.assert_close(one, expected, rtol=1e-10, atol=1e-10)
    assert found[2] == 0.0


def test_learning_finds_the_process_that_made_the_stays() -> None:
    stays, statics = _simulated(stays=96, rows=60, slope=0.7)
    learnt, mean = Hyperparameters(2, ("matern12",), (3.0,), rank=2).double(), LinearMean(2, 1).double()
    with torch.no_grad():  # the likelihood has saddles where the covariances are zero
        learnt.tasks[0].get_parameter("covar_factor").copy_(torch.tensor([[0.5, 0.0], [0.3, 0.3]]))
    curve = fit(learnt, stays, steps=150, rate=0.1, seed=1, mean=mean, statics=statics)
    with torch.no_grad():
        kernel = learnt.kernel()
    assert curve[-1] > curve[0] + 0.05
    assert float(kernel.lengthscale_hours) == pytest.approx(LENGTHSCALE, rel=0.2)
    np.testing.assert_allclose(kernel.task_covariance[0].numpy(), TASK, atol=0.2)
    np.testing.assert_allclose(kernel.noise.numpy(), NOISE, rtol=0.15)
    np.testing.assert_allclose(mean.slope.detach().numpy(), [[0.7], [0.0]], atol=0.15)


def test_learning_repeats_itself_bit_for_bit_and_differs_by_seed() -> None:
    stays, _ = _simulated(stays=40, rows=10)
    curves = []
    for seed in (3, 3, 4):
        torch.manual_seed(0)
        curves.append(
            fit(Hyperparameters(2, ("matern12",), (1.5,), rank=1), stays, steps=4, rate=0.05, seed=seed)
        )
    assert curves[0] == curves[1]
    assert curves[0] != curves[2]


def test_nothing_measured_is_nothing_to_learn_from() -> None:
    with pytest.raises(InvalidInput, match="no stay has an observation"):
        fit(
            Hyperparameters(2, ("matern12",), (1.5,), rank=1),
            [Observations([], [], [])],
            steps=1,
            rate=0.1,
            seed=0,
        )
