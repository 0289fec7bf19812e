"""F and Q against the matrix exponential and the stationary law."""

import numpy as np
import pytest
import torch

from models.clinical.errors import InvalidInput
from models.mgp.kernel import Kernel
from models.mgp.statespace import process_noise, semidefinite_factor, state_space, transition

TEMPORALS = ("matern12", "matern32", "matern52")


def kernel_of(*temporal: str) -> Kernel:
    return Kernel(
        temporal,
        lengthscale_hours=[3.0, 5.0, 7.0][: len(temporal)],
        task_covariance=[np.eye(3)] * len(temporal),
        noise=[1.0] * 3,
    )


def drift() -> torch.Tensor:
    """dx/dt = A x of the three processes, derivatives in units of the rate."""
    out = torch.zeros(6, 6, dtype=torch.float64)
    rate = np.sqrt([1.0, 3.0, 5.0]) / [3.0, 5.0, 7.0]
    out[0, 0] = -rate[0]
    out[1:3, 1:3] = rate[1] * torch.tensor([[0.0, 1.0], [-1.0, -2.0]]).double()
    out[3:, 3:] = rate[2] * torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, -3.0, -3.0]]).double()
    return out


@pytest.mark.parametrize("gap", [0.0, 1e-9, 0.3, 4.0, 50.0, 5000.0])
def test_transition_is_the_matrix_exponential(gap: float) -> None:
    step = np.empty((6, 6))
    transition(state_space(kernel_of(*TEMPORALS)), gap, step)
    np.testing.assert_allclose(step, torch.linalg.matrix_exp(drift() * gap).numpy(), atol=1e-12)


@pytest.mark.parametrize("gap", [0.0, 1e-3, 0.3, 4.0, 50.0, 5000.0])
def test_process_noise_keeps_the_process_stationary(gap: float) -> None:
    space, step, noise = state_space(kernel_of(*TEMPORALS)), np.empty((6, 6)), np.empty((6, 6))
    transition(space, gap, step)
    process_noise(space, gap, noise)
    np.testing.assert_allclose(step @ space.stationary @ step.T + noise, space.stationary, atol=1e-12)


def test_process_noise_of_a_tiny_gap_keeps_all_digits() -> None:
    # the leading terms of Q at x = rate gap: 2 x; 4 x^3 / 3; 16 / 3 x^5 / 20
    space, noise, gap = state_space(kernel_of(*TEMPORALS)), np.empty((6, 6)), 1e-9
    process_noise(space, gap, noise)
    x = space.rate * gap
    leading = [2 * x[0], 4 * x[1] ** 3 / 3, 16 / 3 * x[2] ** 5 / 20]
    np.testing.assert_allclose([noise[0, 0], noise[1, 1], noise[3, 3]], leading, rtol=1e-8)


def test_a_factor_of_low_rank_gives_its_matrix_back() -> None:
    half = np.random.default_rng(0).normal(size=(6, 2))
    half[3] = 0.0
    factor = semidefinite_factor(half @ half.T)
    np.testing.assert_allclose(factor @ factor.T, half @ half.T, atol=1e-12)


def test_a_kernel_without_a_state_space_is_refused() -> None:
    with pytest.raises(InvalidInput, match="rbf"):
        state_space(kernel_of("rbf"))
