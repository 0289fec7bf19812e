"""A stay that is advanced hour by hour has the bits of the whole stay at once, however its hours are cut."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.mgp.course import Course
from models.mgp.kernel import Kernel
from models.mgp.posterior import Filtered, Observations, filtered

VARIABLES, HOURS = 3, 30
TEMPORALS = [("matern12",), ("matern12", "matern12"), ("matern32", "matern12"), ("matern52",)]

# (hour in which it becomes known, hours between measurement and that hour's end, variable, value)
ROWS = st.lists(
    st.tuples(
        st.integers(1, HOURS),
        st.one_of(
            st.sampled_from([0.0, 0.25, 1.0]),  # ties, and whole hours
            st.floats(0.0, 1.0),
            st.floats(1.0, 40.0),  # late, some from before admission
        ),
        st.integers(0, VARIABLES - 1),
        st.sampled_from([-1.0, 0.0, 0.5, 2.0]),
    ),
    max_size=40,
)


def kernel(temporal: tuple[str, ...]) -> Kernel:
    factors = torch.randn(len(temporal), VARIABLES, 2, generator=torch.Generator().manual_seed(4)).double()
    return Kernel(
        temporal,
        lengthscale_hours=[3.0, 50.0][: len(temporal)],
        task_covariance=factors @ factors.mT + 0.1 * torch.eye(VARIABLES),
        noise=[0.01, 0.1, 0.3],
    )


def stay(rows: list[tuple[int, float, int, float]]) -> Observations:
    hour, before, variable, value = np.array(sorted(rows, key=lambda row: row[0])).reshape(-1, 4).T
    known = np.searchsorted(hour, np.arange(1, HOURS + 1), side="right")
    return Observations(hour - before, variable, value, known)


def until(whole: Observations, hour: int) -> Observations:
    """What is known by `hour`, as a bed would hand it over then."""
    known = np.asarray(whole.known)[:hour]
    count = int(known.max(initial=0))
    return Observations(whole.time_hours[:count], whole.variable[:count], whole.value[:count], known)


@given(
    rows=ROWS,
    cuts=st.lists(st.integers(0, HOURS), max_size=HOURS).map(sorted),
    temporal=st.sampled_from(TEMPORALS),
    draws=st.sampled_from([0, 5]),
)
@settings(max_examples=60)
def test_the_hours_of_a_stay_may_be_cut_anyhow(
    rows: list[tuple[int, float, int, float]], cuts: list[int], temporal: tuple[str, ...], draws: int
) -> None:
    process, whole = kernel(temporal), stay(rows)
    course, begun = Course(process, draws, seed=7), 0
    expected = filtered(process, [whole], draws, seed=7)[0]
    for hour in [*cuts, HOURS]:
        equal_bits(course.advance(until(whole, hour)), expected, slice(begun, hour))
        begun = hour


def equal_bits(found: Filtered, expected: Filtered, hours: slice) -> None:
    assert torch.equal(found.mean, expected.mean[hours])
    assert torch.equal(found.variance, expected.variance[hours])
    assert torch.equal(found.draws, expected.draws[:, hours])
