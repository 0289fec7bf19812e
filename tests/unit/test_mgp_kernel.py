"""The kernel: what it takes, what it refuses, and that gradients pass through it."""

import numpy as np
import pytest
import torch

from models.clinical.errors import InvalidInput
from models.mgp.kernel import Kernel
from models.mgp.posterior import Observations, posterior, posteriors

IDENTITY = np.eye(3)


def test_numbers_arrays_and_tensors_become_tensors_of_the_covariances_type() -> None:
    kernel = Kernel(
        lengthscale_hours=4.0, task_covariance=IDENTITY.astype(np.float32), noise=torch.ones(3).double()
    )
    assert kernel.temporal == ("matern12",)
    assert kernel.task_covariance.shape == (1, 3, 3)
    assert {kernel.lengthscale_hours.dtype, kernel.noise.dtype, kernel.dtype} == {torch.float32}
    assert kernel.to(torch.float64).dtype == torch.float64


def test_one_name_stands_for_every_time_scale() -> None:
    kernel = Kernel(
        "matern32", lengthscale_hours=[1.0, 9.0], task_covariance=[IDENTITY, 2 * IDENTITY], noise=[1.0] * 3
    )
    assert kernel.temporal == ("matern32", "matern32")
    torch.testing.assert_close(kernel.prior_variance(), torch.full((3,), 3.0, dtype=torch.float64))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"lengthscale_hours": 0.0}, r"lengthscale_hours\[0\] is 0.0; expected > 0 \(h\)"),
        ({"lengthscale_hours": float("nan")}, "lengthscale_hours"),
        ({"noise": [1.0, -2.0, 1.0]}, r"noise\[1\] is -2.0"),
        ({"noise": [1.0, 1.0]}, r"task_covariance has the shape \(1, 3, 3\)"),
        ({"task_covariance": np.triu(np.ones((3, 3)))}, "not symmetric"),
        ({"task_covariance": np.full((3, 3), np.inf)}, "not symmetric and finite"),
        ({"task_covariance": np.diag([1.0, 1.0, -1.0])}, r"indefinite: its smallest eigenvalue is -1"),
        ({"noise": [1.0, 1.0, 1e-16]}, r"noise\[2\] is 1e-16; expected at least 1e-10"),
        ({"temporal": "periodic"}, "periodic"),
        ({"temporal": ("matern12", "matern12")}, "for 1 lengthscales"),
    ],
)
def test_a_parameter_outside_its_bound_is_named(changed: dict[str, object], named: str) -> None:
    fitting: dict[str, object] = {"lengthscale_hours": 4.0, "task_covariance": IDENTITY, "noise": [1.0] * 3}
    with pytest.raises(InvalidInput, match=named):
        Kernel(**(fitting | changed))  # type: ignore[arg-type]


def test_a_covariance_of_low_rank_is_no_error() -> None:
    factor = torch.randn(3, 1, generator=torch.Generator().manual_seed(0))
    kernel = Kernel(lengthscale_hours=4.0, task_covariance=factor @ factor.T, noise=[0.1] * 3)
    ours = posterior(kernel, [1.0], [0], [1.0], [1.0, 2.0])
    assert torch.isfinite(ours.sample(2, torch.Generator().manual_seed(1))).all()


def test_gradients_reach_what_the_kernel_was_made_of() -> None:
    lengthscale = torch.tensor(4.0, requires_grad=True)
    kernel = Kernel(lengthscale_hours=lengthscale, task_covariance=IDENTITY, noise=[1.0] * 3)
    kernel.correlation(torch.zeros(1), torch.ones(1)).sum().backward()  # type: ignore[no-untyped-call]
    assert lengthscale.grad is not None
    torch.testing.assert_close(lengthscale.grad, torch.exp(torch.tensor(-0.25)) / 16.0)


def test_a_parameter_changed_in_place_is_seen() -> None:
    kernel = Kernel(lengthscale_hours=4.0, task_covariance=IDENTITY, noise=[1.0] * 3)
    before = posterior(kernel, [1.0], [0], [1.0], [2.0]).mean
    kernel.lengthscale_hours.mul_(2.0)
    assert posterior(kernel, [1.0], [0], [1.0], [2.0]).mean[0, 0] > before[0, 0]


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        (([float("nan")], [0], [1.0]), "row 0 has time nan"),
        (([1.0, 2.0], [0, 3], [1.0, 1.0]), "row 1 .* variable 3"),
        (([1.0], [-1], [1.0]), "variable -1"),
        (([1.0, 2.0], [0, 0.7], [1.0, 1.0]), "row 1 has 0.7"),
        (([1.0], [0], [float("inf")]), "value inf"),
        (([1.0], [0], [1.0, 2.0]), "1, 1, 2"),
    ],
)
def test_a_row_outside_its_bound_is_named(
    rows: tuple[list[float], list[float], list[float]], named: str
) -> None:
    kernel = Kernel(lengthscale_hours=4.0, task_covariance=IDENTITY, noise=[1.0] * 3)
    with pytest.raises(InvalidInput, match=named):
        posterior(kernel, *rows, [1.0])


def test_a_grid_that_decreases_is_refused() -> None:
    kernel = Kernel(lengthscale_hours=4.0, task_covariance=IDENTITY, noise=[1.0] * 3)
    with pytest.raises(InvalidInput, match="grid_hours"):
        posterior(kernel, [1.0], [0], [1.0], [2.0, 1.0])


@pytest.mark.parametrize("temporal", ["matern12", "rbf"])  # the engine, and the closed form
def test_fewer_draws_than_none_are_refused(temporal: str) -> None:
    kernel = Kernel(temporal, lengthscale_hours=4.0, task_covariance=IDENTITY, noise=[1.0] * 3)
    found = posterior(kernel, [1.0], [0], [1.0], [2.0])
    with pytest.raises(InvalidInput, match="-1 draws"):
        found.sample(-1)
    assert found.sample(0).shape == (0, 1, 3)


def test_a_stay_without_a_grid_is_refused() -> None:
    kernel = Kernel(lengthscale_hours=4.0, task_covariance=IDENTITY, noise=[1.0] * 3)
    with pytest.raises(InvalidInput, match="2 stays and 1 grids"):
        posteriors(kernel, [Observations([1.0], [0], [1.0])] * 2, [[1.0]])
