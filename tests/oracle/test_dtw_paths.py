"""Alignments against tslearn's, step by step."""

from __future__ import annotations

import numpy as np
import pytest
from tslearn.metrics import dtw_path, dtw_subsequence_path  # type: ignore[import-untyped]

from models.clinical.errors import InvalidInput
from models.dtw.path import path
from models.dtw.series import references, series
from models.dtw.windows import Alignment, Itakura, SakoeChiba

SOURCE = np.random.default_rng(5)
# rounded, so that several paths cost the same
QUERY = np.round(SOURCE.normal(size=(9, 3)))
PAST = [np.round(SOURCE.normal(size=(hours, 3))) for hours in (2, 9, 12, 15)]


@pytest.mark.parametrize("member", range(len(PAST)))
def test_paths_and_distances(member: int) -> None:
    others = references([series(one) for one in PAST])
    found = path(series(QUERY), others, member)
    steps, distance = dtw_path(QUERY, PAST[member])
    assert [tuple(step) for step in found.pairs.tolist()] == steps
    assert found.distance == distance
    whole = path(series(QUERY), others, member, Alignment(open_begin=True, open_end=True))
    steps, distance = dtw_subsequence_path(QUERY, PAST[member])
    assert [tuple(step) for step in whole.pairs.tolist()] == steps
    assert whole.distance == distance


def test_a_variable_by_itself_and_in_a_window() -> None:
    others = references([series(one) for one in PAST])
    found = path(series(QUERY), others, 2, Alignment(SakoeChiba(1)), variable=1)
    steps, distance = dtw_path(
        QUERY[:, 1], PAST[2][:, 1], global_constraint="sakoe_chiba", sakoe_chiba_radius=1
    )
    assert [tuple(step) for step in found.pairs.tolist()] == steps
    assert found.distance == distance
    np.testing.assert_array_equal(found.share, [0.0, 1.0, 0.0])


def test_shares_are_what_the_path_costs_by_each_variable() -> None:
    others = references([series(one) for one in PAST])
    found = path(series(QUERY), others, 1)
    gaps = (QUERY[found.pairs[:, 0]] - PAST[1][found.pairs[:, 1]]) ** 2
    np.testing.assert_allclose(found.share, gaps.sum(axis=0) / found.distance**2)
    assert path(series(QUERY), references([series(QUERY)]), 0).share.tolist() == [0.0, 0.0, 0.0]


def test_no_path_is_an_error() -> None:
    others = references([series(one) for one in PAST])
    with pytest.raises(InvalidInput, match="no path to reference 0"):
        path(series(QUERY), others, 0, Alignment(Itakura(2.0)))
    with pytest.raises(InvalidInput, match="reference 4: from 0 to 3"):
        path(series(QUERY), others, 4)
    with pytest.raises(InvalidInput, match="variable 3: from 0 to 2"):
        path(series(QUERY), others, 0, variable=3)
