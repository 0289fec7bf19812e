"""What holds for the challenge's figures on every cohort."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.metrics.cinc2019 import Cohort, stay_utilities, summarise

Stay = tuple[list[tuple[float, bool]], int]  # (probability, predicted) an hour, and the first positive row

HOURS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)
STAYS = st.lists(st.tuples(HOURS, st.integers(0, 60)), min_size=1, max_size=6)
quick = settings(max_examples=60)


def cohort_of(stays: list[Stay]) -> Cohort:
    """A stay whose first positive row lies past its end has no sepsis."""
    hours = [hour for rows, _ in stays for hour in rows]
    return Cohort(
        rows=np.array([len(rows) for rows, _ in stays]),
        label=np.concatenate([np.arange(len(rows)) >= first for rows, first in stays]).astype(np.int8),
        probability=np.array([probability for probability, _ in hours]),
        prediction=np.array([predicted for _, predicted in hours], dtype=np.int8),
    )


@quick
@given(stays=STAYS)
def test_no_prediction_earns_more_than_the_best(stays: list[Stay]) -> None:
    cohort = cohort_of(stays)
    earned = stay_utilities(cohort.rows, cohort.label, cohort.prediction)
    assert (earned.observed <= earned.best + 1e-9).all()
    assert (earned.inaction <= earned.best + 1e-9).all()


@quick
@given(stays=STAYS)
def test_a_stay_earns_the_same_alone_and_in_company(stays: list[Stay]) -> None:
    cohort = cohort_of(stays)
    together = stay_utilities(cohort.rows, cohort.label, cohort.prediction)
    for position, stay in enumerate(stays):
        alone = cohort_of([stay])
        earned = stay_utilities(alone.rows, alone.label, alone.prediction)
        assert earned.observed[0] == pytest.approx(together.observed[position], abs=1e-9)
        assert earned.best[0] == pytest.approx(together.best[position], abs=1e-9)


@quick
@given(stays=STAYS, seed=st.integers(0, 100))
def test_the_order_of_the_stays_does_not_matter(stays: list[Stay], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(stays))
    one, other = summarise(cohort_of(stays)), summarise(cohort_of([stays[position] for position in order]))
    for name in ("auroc", "auprc", "accuracy", "f_measure", "utility"):
        left, right = getattr(one, name), getattr(other, name)
        assert (left is None) == (right is None)
        assert left is None or left == pytest.approx(right, abs=1e-9)


@quick
@given(stays=STAYS)
def test_figures_stay_in_their_bounds(stays: list[Stay]) -> None:
    metrics = summarise(cohort_of(stays))
    for figure in (metrics.auroc, metrics.auprc, metrics.accuracy, metrics.f_measure):
        assert figure is None or 0 <= figure <= 1
    assert metrics.utility is None or metrics.utility <= 1 + 1e-9
