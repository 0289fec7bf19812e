"""A reference's values as they are laid on a stay's hours."""

from __future__ import annotations

import numpy as np
import pytest

from models.dtw.distances import per_variable
from models.dtw.ensemble import Voting
from models.dtw.index import Index
from models.dtw.likeness import Likeness, likeness
from models.dtw.series import Series, references, series

NAMES = ("heart_rate", "lactate")
VOTING = Voting(neighbours=1, samples=1, radius_hours=None)
NAN = np.nan


def nearest(query: Series, *past: Series) -> Likeness:
    """The nearest of `past`, whose standardised values are half of those in canonical units."""
    many, count = references(past), len(past)
    index = Index(many, np.ones(count, np.int8), np.full(count, 2, np.float32), np.ones(count, np.int32))
    distances = per_variable(query, many, VOTING.alignment())
    return likeness(query, index, distances, VOTING, 1, lambda _, values: 2.0 * values)[0]


def test_what_is_laid_on_one_hour_is_averaged_and_what_is_not_known_is_left_out() -> None:
    query = series([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]], variables=NAMES)
    other = series([[9.0, 9.0]] * 4, variables=NAMES)
    past = series([[0.0, 5.0], [0.75, NAN], [1.25, 5.5], [2.0, NAN]], variables=NAMES)
    found = nearest(query, other, past)
    assert found.reference == 1
    assert found.pairs == ((0, 0), (1, 1), (1, 2), (2, 3))
    assert found.course["heart_rate"].tolist() == [0.0, 2.0, 4.0]
    assert found.course["lactate"].tolist()[:2] == [10.0, 11.0]
    assert np.isnan(found.course["lactate"][2])


def test_a_variable_that_one_side_does_not_know_has_no_course() -> None:
    query = series([[0.0, NAN], [1.0, NAN]], variables=NAMES)
    found = nearest(query, series([[0.0, 5.0], [1.0, 5.0]], variables=NAMES))
    assert set(found.course) == {"heart_rate"} == {name for name, _ in found.shares}


@pytest.mark.parametrize(("hours", "first"), [(2, 1.0), (5, 0.0)])  # of two hours the first takes two
def test_a_course_is_as_long_as_the_stay_whatever_the_reference_is(hours: int, first: float) -> None:
    query = series(np.linspace([0.0, 0.0], [1.0, 3.0], hours), variables=NAMES)
    found = nearest(query, series([[0.0, 0.0], [0.5, 1.0], [1.0, 3.0]], variables=NAMES))
    assert [len(course) for course in found.course.values()] == [hours, hours]
    assert found.course["lactate"][[0, -1]].tolist() == [first, 6.0]
