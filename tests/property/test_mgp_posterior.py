"""What never changes a posterior: the order of rows, the day it is, the rest of the batch, and the future."""

import numpy as np
import numpy.typing as npt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.mgp.kernel import Kernel
from models.mgp.posterior import Filtered, Observations, filtered, posterior, posteriors

VARIABLES, HOURS = 5, 20
GRID = np.arange(1.0, HOURS + 1.0)

Floats = npt.NDArray[np.float64]


def kernel_of(temporal: tuple[str, ...]) -> Kernel:
    factor = np.random.default_rng(0).normal(size=(len(temporal), VARIABLES, 2))
    return Kernel(
        temporal,
        lengthscale_hours=[3.0, 30.0][: len(temporal)],
        task_covariance=(factor @ factor.transpose(0, 2, 1) + 0.3 * np.eye(VARIABLES)).astype(np.float32),
        noise=[0.1] * VARIABLES,
    )


KERNELS = [kernel_of(names) for names in (("matern12",), ("matern12", "matern12"), ("matern32",))]


@st.composite
def stays(draw: st.DrawFn) -> Observations:
    """Rows as they became known: some late, some at one time, some known together."""
    source, rows = np.random.default_rng(draw(st.integers(0, 2**32))), draw(st.integers(0, 40))
    time = np.round(source.uniform(-2.0, HOURS, rows), draw(st.sampled_from([0, 1, 6])))
    known_at = time + source.choice([0.0, 0.0, 1.5, 9.0], rows)
    variable, value = source.integers(0, VARIABLES, rows), source.normal(size=rows)
    order = np.lexsort((value, variable, time, known_at))
    known = np.searchsorted(known_at[order], GRID, side="right")
    return Observations(time[order], variable[order], value[order], known)


def until(stay: Observations, hours: int) -> Observations:
    """What was known by grid hour `hours`, and nothing of the time after."""
    known = np.asarray(stay.known)[:hours]
    rows = known[-1]
    time, variable, value = map(np.asarray, (stay.time_hours, stay.variable, stay.value))
    return Observations(time[:rows], variable[:rows], value[:rows], known)


def same(one: Filtered, other: Filtered, hours: int) -> bool:
    pairs = ((one.mean, other.mean), (one.variance, other.variance))
    drawn = torch.equal(one.draws[:, :hours], other.draws[:, :hours])
    return drawn and all(torch.equal(first[:hours], second[:hours]) for first, second in pairs)


@settings(max_examples=40)
@given(stays(), st.sampled_from(KERNELS), st.integers(1, HOURS), st.integers(0, 2**40))
def test_an_hour_is_the_same_bits_whatever_becomes_known_later(
    stay: Observations, kernel: Kernel, hours: int, seed: int
) -> None:
    whole = filtered(kernel, [stay], draws=3, seed=seed)[0]
    cut = filtered(kernel, [until(stay, hours)], draws=3, seed=seed)[0]
    assert same(whole, cut, hours)


@settings(max_examples=30)
@given(st.lists(stays(), min_size=2, max_size=4), st.sampled_from(KERNELS))
def test_a_stay_is_the_same_bits_whatever_it_is_computed_beside(
    batch: list[Observations], kernel: Kernel
) -> None:
    together = filtered(kernel, batch, draws=2, seed=4)
    assert all(
        same(filtered(kernel, [stay], draws=2, seed=4)[0], ours, HOURS)
        for stay, ours in zip(batch, together, strict=True)
    )
    smoothed = posteriors(kernel, batch, [GRID] * len(batch))
    for stay, ours in zip(batch, smoothed, strict=True):
        alone = posterior(kernel, stay.time_hours, stay.variable, stay.value, GRID)
        assert torch.equal(alone.mean, ours.mean)
        assert torch.equal(alone.variance, ours.variance)
        draws = (one.sample(2, torch.Generator().manual_seed(1)) for one in (alone, ours))
        assert torch.equal(*draws)


@settings(max_examples=30)
@given(stays(), st.sampled_from(KERNELS), st.randoms(use_true_random=False))
def test_rows_may_stand_in_any_order(
    stay: Observations, kernel: Kernel, shuffler: np.random.Generator
) -> None:
    order = list(range(len(np.asarray(stay.value))))
    shuffler.shuffle(order)
    time, variable, value = map(np.asarray, (stay.time_hours, stay.variable, stay.value))
    shuffled = posterior(kernel, time[order], variable[order], value[order], GRID)
    ours = posterior(kernel, stay.time_hours, stay.variable, stay.value, GRID)
    assert torch.equal(ours.mean, shuffled.mean)
    assert torch.equal(ours.variance, shuffled.variance)
    assert torch.equal(ours.log_likelihood, shuffled.log_likelihood)


@settings(max_examples=30)
@given(stays(), st.sampled_from(KERNELS), st.integers(-5000, 5000))
def test_the_same_stay_on_another_day_is_the_same(stay: Observations, kernel: Kernel, hours: int) -> None:
    wide = kernel.to(torch.float64)
    ours = posterior(wide, stay.time_hours, stay.variable, stay.value, GRID)
    moved = posterior(wide, np.asarray(stay.time_hours) + hours, stay.variable, stay.value, GRID + hours)
    torch.testing.assert_close(ours.mean, moved.mean, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours.variance, moved.variance, rtol=1e-9, atol=1e-9)


@settings(max_examples=30)
@given(stays(), st.sampled_from(KERNELS))
def test_the_last_filtered_hour_is_the_smoothed_one(stay: Observations, kernel: Kernel) -> None:
    last = until(stay, HOURS)
    ours = filtered(kernel, [last])[0]
    smoothed = posterior(kernel, last.time_hours, last.variable, last.value, GRID[-1:])
    torch.testing.assert_close(ours.mean[-1], smoothed.mean[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.variance[-1], smoothed.variance[0], rtol=1e-5, atol=1e-6)
