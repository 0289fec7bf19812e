"""The mean of every variable, from what is known of a patient beforehand."""

import numpy as np
import pytest
import torch

from models.clinical.errors import InvalidInput
from models.mgp.kernel import Kernel
from models.mgp.population import LinearMean, least_squares
from models.mgp.posterior import Observations, posterior, posteriors


def _stays(number: int) -> tuple[list[Observations], torch.Tensor]:
    """Variable 0 is 0.5 + 2 x of the first static, measured far oftener in every other stay; 1 is 0."""
    generator = np.random.default_rng(2)
    statics, made = generator.normal(size=(number, 2)), []
    for index, static in enumerate(statics):
        rows = 20 if index % 2 else 2
        variable = np.array([0] * rows + [1])
        value = np.where(variable == 0, 0.5 + 2.0 * static[0], 0.0) + 0.1 * generator.normal(size=rows + 1)
        made.append(Observations(np.arange(rows + 1.0), variable, value))
    return made, torch.from_numpy(statics)


def test_least_squares_finds_a_linear_mean() -> None:
    stays, statics = _stays(1000)
    mean = least_squares(stays, statics, variables=3)
    np.testing.assert_allclose(mean.intercept.detach(), [0.5, 0.0, 0.0], atol=0.05)
    np.testing.assert_allclose(mean.slope.detach(), [[2.0, 0.0], [0.0, 0.0], [0.0, 0.0]], atol=0.05)


def test_a_variable_hardly_measured_stays_at_the_population() -> None:
    stays, statics = _stays(2)
    mean = least_squares(stays, statics, variables=3)
    assert mean.slope.abs().max() < 0.5
    assert torch.equal(mean(statics)[:, 2], torch.zeros(2, dtype=torch.float64))


def test_a_posterior_of_centred_values_is_that_of_a_shifted_process() -> None:
    mean = LinearMean(2, 1).double()
    with torch.no_grad():
        mean.intercept.copy_(torch.tensor([3.0, -1.0]))
    static = torch.zeros(1, dtype=torch.float64)
    kernel = Kernel(lengthscale_hours=4.0, task_covariance=np.eye(2), noise=[0.1, 0.1])
    rows = Observations(np.array([1.0, 2.0]), np.array([0, 1]), np.array([3.4, -0.8]))
    [centred] = posteriors(kernel, [mean.centred(rows, static)], [np.arange(3.0)])
    plain = posterior(kernel, [1.0, 2.0], np.array([0, 1]), [0.4, 0.2], np.arange(3.0))
    torch.testing.assert_close(centred.mean, plain.mean)
    (centred.mean + mean(static)).sum().backward()
    assert mean.intercept.grad is not None
    assert 0.0 < float(mean.intercept.grad[0]) < 3.0  # an hour's mean moves by one less what data take back


@pytest.mark.parametrize("statics", [torch.zeros(3, 1), torch.tensor([[float("nan")], [0.0]])])
def test_statics_that_do_not_fit_are_refused(statics: torch.Tensor) -> None:
    with pytest.raises(InvalidInput, match="finite row each"):
        least_squares(_stays(2)[0], statics, variables=2)
