"""What is compared of an excerpt, and who has a say in which group."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.clinical.errors import InvalidInput
from models.dtw.ensemble import Voting
from models.dtw.excerpts import CONTEXT, CarriedCourse, compared, compared_references, measured
from models.dtw.index import Index
from models.dtw.series import Series, references
from models.dtw_votes import MEASURED, ROWS, Votes
from models.mgp.standardise import VARIABLES

HOURS, COUNT = 4, 12
LACTATE, HEART_RATE = VARIABLES.index("lactate"), VARIABLES.index("heart_rate")
GROUPS = (("lactate",), (measured("lactate"),), ("heart_rate", "lactate"), ROWS)
VOTING = Voting(3, 1, combination="root_mean_square", radius_hours=1)


def excerpt(lactate_age: float, value: float = 1.0, hour: int = 6) -> Series:
    """Heart rate measured in each hour, lactate `lactate_age` hours before the last one, nothing else."""
    values = np.full((hour, len(VARIABLES)), value, np.float32)
    age = np.full(values.shape, np.inf)
    age[:, HEART_RATE] = 0.0
    age[:, LACTATE] = lactate_age + np.arange(hour) - hour + 1
    age[age < 0.0] = np.inf  # not yet measured
    return CarriedCourse(values, age, np.arange(4.0), VARIABLES).excerpt(hour, HOURS, 6.0)


def votes(ages: list[float], outcome: list[int]) -> Votes:
    past = references([excerpt(age, value=float(number)) for number, age in enumerate(ages)])
    told = np.array(outcome, np.int8)
    index = Index(past, told, np.full(len(ages), np.nan, np.float32), np.ones(len(ages), np.int32))
    return Votes(GROUPS, index, np.ones(len(ROWS)), VOTING)


def test_carried_values_fade_and_their_age_is_a_row_of_its_own() -> None:
    rows = compared(excerpt(lactate_age=6.0))
    assert rows.variables == ROWS
    assert rows.weights is None
    at = dict(zip(rows.variables, rows.values, strict=True))
    assert at["lactate"].tolist() == at[measured("lactate")].tolist()  # the value is 1
    assert at["lactate"][-1] == 0.5  # six hours old, at which it counts half
    assert at["heart_rate"].tolist() == [1.0] * HOURS
    assert not at["wbc"].any()
    assert not at[measured("wbc")].any()
    assert at["hour_of_stay"][-1] == pytest.approx(np.log(6) / 3)
    assert [at[name][0] for name in CONTEXT[1:]] == [0.0, 1.0, 2.0, 3.0]


def test_hours_before_admission_know_nothing() -> None:
    rows = compared(excerpt(lactate_age=0.0, hour=2))
    at = dict(zip(rows.variables, rows.values, strict=True))
    assert at["heart_rate"].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert at["hour_of_stay"].tolist() == [0.0, 0.0, 0.0, np.log(2) / 3]


def test_many_are_compared_as_one_is() -> None:
    each = [excerpt(age, value=float(number)) for number, age in enumerate((0.0, 3.0, np.inf))]
    many = compared_references(references(each))
    for number, one in enumerate(each):
        np.testing.assert_allclose(many.one(number).values, compared(one).values, rtol=1e-6)


def test_a_stay_without_a_variable_is_not_voted_on_by_its_values() -> None:
    voting = votes([0.0] * COUNT, [1, 0] * (COUNT // 2))
    query = excerpt(lactate_age=np.inf)
    evidence = voting.evidence(query, voting.distances(query))
    assert np.isnan(evidence[0])
    assert np.isfinite(evidence[1:]).all()  # whether it was measured is known, and so is heart rate


def test_a_reference_without_a_variable_has_no_vote_on_its_values() -> None:
    """Only cases know lactate, so that by its values every neighbour is one."""
    outcome = [1, 0] * (COUNT // 2)
    voting = votes([0.0 if one else np.inf for one in outcome], outcome)
    query = excerpt(lactate_age=0.0, value=1.0)
    evidence = voting.evidence(query, voting.distances(query))
    share, prior = 3.0, 0.5
    odds = (share + VOTING.prior_votes * prior) / (3 - share + VOTING.prior_votes * (1 - prior))
    assert evidence[0] == pytest.approx(np.log(odds))
    assert evidence[2] < evidence[0]


def test_an_index_of_other_rows_is_refused() -> None:
    known = votes([0.0] * COUNT, [1, 0] * (COUNT // 2)).ensemble.index
    with pytest.raises(InvalidInput, match="other rows"):
        Votes(GROUPS, known, np.ones(len(ROWS)), VOTING)
    past = references([excerpt(0.0)] * 2)
    index = Index(past, np.array([0, 1], np.int8), np.full(2, np.nan, np.float32), np.ones(2, np.int32))
    with pytest.raises(InvalidInput, match=f"{len(MEASURED)} weights"):
        Votes(GROUPS, replace(index), np.ones(len(MEASURED)), VOTING)
