"""No score of the DTW ensemble depends on what was known later, or on company (models/base.py)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.calibration import Calibration
from models.clinical.score import ScoreSeries
from models.clinical.stay import Stay, observation_table
from models.clinical.variables import CATALOGUE
from models.dtw.ensemble import Voting
from models.dtw.excerpts import CONTEXT, CarriedCourse, compared
from models.dtw.index import Index, coded
from models.dtw.series import references
from models.dtw_knn import DTWKNN, DTWConfig, Learnt
from models.dtw_votes import ROWS
from models.mgp.standardise import VARIABLES, VITAL_SIGNS, fit_standardisation

ADMITTED = datetime(2026, 3, 1, 7, 13, tzinfo=UTC)
CONFIG = DTWConfig(hours=5, voting=Voting(3, 2, combination="root_mean_square", radius_hours=1))
HOURS = 12


@cache
def model() -> DTWKNN:
    """Random references, each with a third of the variables; every group is worth something else."""
    random = np.random.default_rng(1)
    many = []
    for _ in range(40):
        value = random.normal(size=(HOURS, len(VARIABLES))).astype(np.float32)
        age = np.where(random.random(value.shape[1]) < 0.3, np.inf, random.random(value.shape) * 9)
        patient = random.normal(size=len(CONTEXT) - 1)
        many.append(coded(CarriedCourse(value, age, patient, VARIABLES).excerpt(HOURS, CONFIG.hours, 6.0)))
    outcome = (np.arange(40) % 4 == 0).astype(np.int8)
    index = Index(references(many), outcome, np.full(40, np.nan, np.float32), np.ones(40, np.int32))
    standardisation = fit_standardisation(
        {name: np.linspace(*CATALOGUE[name].normal, 200) for name in VARIABLES}
    )
    metric, worth = random.random(len(ROWS)), random.random(len(CONFIG.groups()))
    return DTWKNN(CONFIG, Learnt(index, standardisation, metric, worth, Calibration(), 0.5, {}))


rows = st.lists(
    st.tuples(
        st.integers(-60, HOURS * 60),
        st.integers(0, 300),
        st.sampled_from([*VITAL_SIGNS, "lactate", "wbc"]),
        st.floats(0.1, 0.9),
    ),
    min_size=20,
    max_size=60,
)


def stay_of(drawn: list[tuple[int, int, str, float]]) -> Stay:
    time = [ADMITTED + timedelta(minutes=minute) for minute, _, _, _ in drawn]
    known = [ADMITTED + timedelta(minutes=minute + late) for minute, late, _, _ in drawn]
    value = [
        CATALOGUE[name].normal[0] * (1 - share) + CATALOGUE[name].normal[1] * share
        for _, _, name, share in drawn
    ]
    return Stay("s", "p", ADMITTED, observation_table(time, known, [name for _, _, name, _ in drawn], value))


def bits(series: ScoreSeries) -> tuple[bytes, tuple[str, ...]]:
    return series.value.tobytes(), series.reason


@settings(max_examples=25)
@given(drawn=rows, minutes=st.integers(30, HOURS * 60))
def test_the_past_is_the_same_whatever_comes(drawn: list[tuple[int, int, str, float]], minutes: int) -> None:
    stay, cut = stay_of(drawn), ADMITTED + timedelta(minutes=minutes)
    whole, part = model().score(stay), model().score(stay.until(cut), cut)
    assert bits(part.until(cut)) == bits(whole.until(cut))


@settings(max_examples=10)
@given(drawn=rows, seed=st.integers(0, 99))
def test_the_order_of_rows_changes_no_bit(drawn: list[tuple[int, int, str, float]], seed: int) -> None:
    mixed = [drawn[place] for place in np.random.default_rng(seed).permutation(len(drawn))]
    assert bits(model().score(stay_of(mixed))) == bits(model().score(stay_of(drawn)))


@settings(max_examples=10)
@given(drawn=rows)
def test_threads_change_no_bit(drawn: list[tuple[int, int, str, float]]) -> None:
    one, hour = stay_of(drawn), ADMITTED + timedelta(hours=HOURS)
    query = model()._asked(one, hour).query
    assume(query is not None)
    assert query is not None
    rows = compared(query)
    single, double = (model().votes.ensemble.distances(rows, threads) for threads in (1, 2))
    np.testing.assert_array_equal(double, single)
