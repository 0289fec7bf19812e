"""Whom a worker compares with, and how the service tells of past stays."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from models import registry
from models.clinical.variables import CATALOGUE
from models.dtw_knn import DTWKNN
from models.rules import NEWS2
from models.warm import example
from service.likening import PastStays, similar_stays
from service.problems import NotFound

STAY = example()
HOUR = STAY.admitted_at + timedelta(hours=4)


@pytest.fixture(scope="module")
def shipped() -> DTWKNN:
    model = registry.load("dtw")
    assert isinstance(model, DTWKNN)
    return model


def test_the_nearest_past_stays_are_told_on_the_clock_of_the_stay(shipped: DTWKNN) -> None:
    told = similar_stays(shipped, STAY, HOUR)
    assert told["time"] == "2020-01-01T04:00:00Z"
    assert told["hours"] == [f"2020-01-01T0{hour}:00:00Z" for hour in (1, 2, 3, 4)]
    assert told["references"] == {"count": 159, "septic": 72}
    assert told["model"] == {"name": "dtw", "version": shipped.version}
    assert len(told["similar"]) == 5
    for one in told["similar"]:
        assert one["stays"] >= 20
        assert len(one["shares"]) <= 5
        assert one["alignment"][-1] == [0, 0]
        assert {now for now, _ in one["alignment"]} == {-3, -2, -1, 0}
        assert all(len(course) == 4 for course in one["course"].values())


def test_courses_are_in_canonical_units(shipped: DTWKNN) -> None:
    for one in similar_stays(shipped, STAY, HOUR)["similar"]:
        for name in ("heart_rate", "temperature", "systolic_pressure"):
            low, high = CATALOGUE[name].plausible
            assert all(value is None or low < value < high for value in one["course"][name])
        assert 60 < one["course"]["heart_rate"][-1] < 140
        assert 35 < one["course"]["temperature"][-1] < 40


def test_the_summary_counts_what_is_listed(shipped: DTWKNN) -> None:
    told = similar_stays(shipped, STAY, HOUR)
    onsets = [one["hours_to_onset"] for one in told["similar"] if one["septic"]]
    assert onsets
    assert told["summary"] == {
        "count": 5,
        "septic": len(onsets),
        "share": len(onsets) / 5,
        "hours_to_onset": [min(onsets), max(onsets)],
    }
    assert all(one["hours_to_onset"] is None for one in told["similar"] if not one["septic"])


def test_of_too_little_nobody_is_like(shipped: DTWKNN) -> None:
    bare = replace(STAY, observations=STAY.observations.iloc[:1])
    told = similar_stays(shipped, bare, HOUR)
    assert (told["similar"], told["hours"]) == ([], [])
    assert told["summary"] == {"count": 0, "septic": 0, "share": None, "hours_to_onset": None}


def test_a_model_that_remembers_is_asked_itself_and_else_the_one_set(shipped: DTWKNN) -> None:
    assert PastStays(shipped, "news2").model() is shipped
    past = PastStays(NEWS2(), "dtw")
    assert past.model().version == shipped.version
    assert past.model() is past.model()


def test_a_folder_of_ones_own_is_compared_with(shipped: DTWKNN, tmp_path: Path) -> None:
    shipped.save(tmp_path)
    assert PastStays(NEWS2(), str(tmp_path)).model().version == shipped.version


@pytest.mark.parametrize("named", ["news2", "/nowhere/at/all"])
def test_what_remembers_nobody_is_said_without_telling_where_it_lies(
    named: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(NotFound, match="PRODROME_LIKENESS_MODEL names no model") as refused,
    ):
        PastStays(NEWS2(), named).model()
    assert "nowhere" not in str(refused.value)
    assert ("/nowhere/at/all" in caplog.text) == (named != "news2")
