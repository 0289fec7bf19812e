"""A reference's values as they are laid on a stay's hours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from models.dtw.distances import per_variable
from models.dtw.excerpts import CONTEXT, compared, compared_references
from models.dtw.index import Index
from models.dtw.likeness import Likeness, likeness
from models.dtw.series import Series, references, series
from models.dtw.windows import Alignment

NAMES = ("heart_rate", "lactate")
NAN = np.nan


def excerpt(rows: npt.ArrayLike) -> Series:
    """Values (hours, 2) of two variables, as an excerpt of a patient of whom nothing else is known."""
    values = np.asarray(rows, np.float64)
    context = np.zeros((len(values), len(CONTEXT)))
    return series(np.concatenate([values, context], axis=1), variables=(*NAMES, *CONTEXT))


def nearest(query: Series, *past: Series) -> Likeness:
    """The nearest of `past`, every row that is compared counting alike."""
    many, count = references(past), len(past)
    index = Index(many, np.ones(count, np.int8), np.full(count, 2, np.float32), np.ones(count, np.int32))
    distances = per_variable(compared(query), compared_references(many))
    return likeness(query, index, distances, np.ones(len(distances)), Alignment(), 1)[0]


def test_what_is_laid_on_one_hour_is_averaged_and_what_is_not_known_is_left_out() -> None:
    query = excerpt([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]])
    other = excerpt([[9.0, 9.0]] * 4)
    past = excerpt([[0.0, 5.0], [0.75, NAN], [1.25, 5.5], [2.0, NAN]])
    found = nearest(query, other, past)
    assert found.reference == 1
    assert found.pairs == ((0, 0), (1, 1), (1, 2), (2, 3))
    assert found.course["heart_rate"].tolist() == [0.0, 1.0, 2.0]
    assert found.course["lactate"].tolist()[:2] == [5.0, 5.5]
    assert np.isnan(found.course["lactate"][2])


def test_a_variable_that_one_side_does_not_know_has_no_course() -> None:
    query = excerpt([[0.0, NAN], [1.0, NAN]])
    found = nearest(query, excerpt([[0.0, 5.0], [1.0, 5.0]]))
    assert set(found.course) == {"heart_rate"}


def test_shares_are_of_the_whole_distance() -> None:
    query = excerpt([[0.0, NAN], [0.0, NAN]])
    past = excerpt([[3.0, 2.0], [3.0, 2.0]])
    found = nearest(query, past)
    # heart rate: 2 h of 9; lactate: 2 h of 4 by its value, which is unknown here, and 2 h of 1 by its times
    assert found.distance == pytest.approx(np.sqrt(28.0))
    assert dict(found.shares) == {"heart_rate": pytest.approx(18 / 28), "lactate": pytest.approx(10 / 28)}


@pytest.mark.parametrize(("hours", "first"), [(2, 0.5), (5, 0.0)])  # of two hours the first takes two
def test_a_course_is_as_long_as_the_stay_whatever_the_reference_is(hours: int, first: float) -> None:
    query = excerpt(np.linspace([0.0, 0.0], [1.0, 3.0], hours))
    found = nearest(query, excerpt([[0.0, 0.0], [0.5, 1.0], [1.0, 3.0]]))
    assert [len(course) for course in found.course.values()] == [hours, hours]
    assert found.course["lactate"][[0, -1]].tolist() == [first, 3.0]
