"""What a series must be, and how missing hours and weights count."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from models.clinical.errors import InvalidInput
from models.dtw.distances import dependent, independent, per_variable
from models.dtw.series import references, series
from models.dtw.windows import Alignment, Itakura, SakoeChiba

QUERY = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
NOTHING = np.full(3, np.nan)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.empty((0, 2)), "a series of 0 hours: at least 2"),
        (np.zeros((1, 2)), "a series of 1 hours: at least 2"),
        (np.empty((3, 0)), r"values of shape \(3, 0\)"),
        (np.array([[0.0, 1.0], [np.inf, 1.0]]), r"heart_rate is inf in hour 1: at most 1e\+15"),
        (np.array([[0.0, -2e15], [0.0, 1.0]]), r"lactate is -2e\+15 in hour 0"),
    ],
)
def test_a_bad_series_is_refused_with_value_and_bound(values: np.ndarray, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        series(values, variables=("heart_rate", "lactate"))


@pytest.mark.parametrize("weight", [-0.1, 1.1, np.nan, np.inf])
def test_a_weight_outside_its_bounds_is_refused(weight: float) -> None:
    weights = np.ones((3, 2))
    weights[1, 1] = weight
    with pytest.raises(InvalidInput, match=f"weight {weight}"):
        series(QUERY, weights)


def test_weights_of_another_shape_and_too_few_names_are_refused() -> None:
    with pytest.raises(InvalidInput, match="that of the values"):
        series(QUERY, np.ones((2, 2)))
    with pytest.raises(InvalidInput, match="1 names for 2 variables"):
        series(QUERY, variables=("lactate",))


def test_other_variables_than_the_references_are_refused() -> None:
    past = references([series(QUERY, variables=("heart_rate", "lactate"))])
    with pytest.raises(InvalidInput, match="lactate, heart_rate; the references have heart_rate, lactate"):
        dependent(series(QUERY, variables=("lactate", "heart_rate")), past)
    with pytest.raises(InvalidInput, match="1 without names"):
        references([series(QUERY), series(QUERY[:, 0])])
    with pytest.raises(InvalidInput, match="no references"):
        references([])


def test_a_query_that_knows_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no value of any variable"):
        dependent(series(np.full((3, 2), np.nan)), references([series(QUERY)]))


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_are_at_least_one(threads: int) -> None:
    with pytest.raises(InvalidInput, match="at least 1"):
        dependent(series(QUERY), references([series(QUERY)]), threads=threads)


def test_windows_and_ends_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(InvalidInput, match="fixed beginning"):
        Alignment(SakoeChiba(2), open_begin=True)
    with pytest.raises(InvalidInput, match="fixed end"):
        Alignment(Itakura(), open_end=True)
    with pytest.raises(InvalidInput, match="radius -1"):
        SakoeChiba(-1)
    with pytest.raises(InvalidInput, match=r"slope 0\.5"):
        Itakura(0.5)


def test_a_variable_without_a_value_abstains() -> None:
    without = np.column_stack([QUERY[:, 0] + 1.0, NOTHING])
    past = references([series(QUERY + 1.0), series(without), series(np.column_stack([NOTHING, NOTHING]))])
    found = per_variable(series(QUERY), past)
    np.testing.assert_array_equal(np.isnan(found), [[False, False, True], [False, True, True]])
    # who abstains has no part in the sum, which is scaled up to two variables
    np.testing.assert_allclose(independent(series(QUERY), past)[1], 2.0 * found[0, 1])
    np.testing.assert_allclose(dependent(series(QUERY), past)[1], np.sqrt(2.0) * found[0, 1], rtol=1e-6)
    assert np.isnan(dependent(series(QUERY), past)[2])


def test_weights_as_the_formula_says() -> None:
    # two hours that can only be matched in order: both costs are 4 in the first hour and 1 in the second
    query, past = series([0.0, 0.0], [1.0, 0.5]), references([series([2.0, 1.0], [0.5, 0.25])])
    cost = 1.0 * 0.5 * 4.0 + 0.5 * 0.25 * 1.0
    expected = np.sqrt(cost / (0.75 * 0.375))
    for exact in (False, True):
        found = dependent(query, past, Alignment(SakoeChiba(0)), exact=exact)
        np.testing.assert_allclose(found, [expected], rtol=1e-6)


def test_importing_it_loads_neither_torch_nor_tslearn() -> None:
    code = "import sys, models.dtw.distances; print({'torch', 'tslearn', 'pandas'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "set()"
