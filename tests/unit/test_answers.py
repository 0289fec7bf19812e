"""Tiles: the newest score, its change, the last twelve hours, and what cannot be known yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from db.rows import StayRow
from models.clinical.score import Score, ScoreStatus
from service.answers import Json, driver, held_tile, instant, tile, usual_gap_minutes

ADMITTED = datetime(2026, 11, 22, 8, tzinfo=UTC)
STAY = StayRow(external_id="icu-7", bed="07", care_unit="4B", admitted_at=ADMITTED, synthetic=True)


def shown(*values: float | None) -> Json:
    """The tile of a stay with scores at hours 1, 2, …; None is an indeterminate one."""
    scores = [
        Score(
            ADMITTED + timedelta(hours=number),
            value,
            ScoreStatus.INDETERMINATE if value is None else ScoreStatus.PRESENT,
            "no temperature for 12 h" if value is None else "",
        )
        for number, value in enumerate(values, 1)
    ]
    return tile(STAY, scores, last_data_at=ADMITTED, usual_gap_minutes=None, drivers=[], alert=None)


def test_the_change_is_against_three_hours_before() -> None:
    assert shown(0.1, 0.2, 0.3, 0.5)["change"] == pytest.approx(0.4)
    assert shown(0.1, 0.2, 0.3)["change"] is None
    assert shown(None, 0.2, 0.3, 0.5)["change"] is None
    assert shown(0.1, 0.2, 0.3, None)["change"] is None


def test_the_sparkline_holds_twelve_hours_with_gaps() -> None:
    sparkline = shown(*[0.1] * 10, None, *[0.2] * 5)["sparkline"]
    assert len(sparkline) == 12
    assert sparkline[0] == ["2026-11-22T13:00:00Z", 0.1]
    assert [value for _, value in sparkline].index(None) == 6


def test_no_score_is_no_number_and_has_a_reason() -> None:
    assert shown(0.2, None)["score"] == {
        "time": "2026-11-22T10:00:00Z",
        "value": None,
        "low": None,
        "high": None,
        "status": "indeterminate",
        "reason": "no temperature for 12 h",
    }
    assert shown()["score"]["reason"] == "the first hour has not passed yet"


def test_a_score_is_told_with_its_spread() -> None:
    score = Score(ADMITTED + timedelta(hours=1), 0.32, ScoreStatus.PRESENT, low=0.21, high=0.45)
    told = tile(STAY, [score], last_data_at=ADMITTED, usual_gap_minutes=None, drivers=[], alert=None)
    assert (told["score"]["low"], told["score"]["value"], told["score"]["high"]) == (0.21, 0.32, 0.45)


def test_a_tile_kept_before_scores_had_a_spread_says_that_it_has_none() -> None:
    old = {"score": {"time": instant(ADMITTED), "value": 0.3, "status": "present", "reason": ""}}
    held = held_tile(StayRow(external_id="icu-7", admitted_at=ADMITTED, synthetic=False, tile=old), None)
    assert held["score"] == old["score"] | {"low": None, "high": None}


def test_the_usual_gap_is_the_median_of_recent_ones() -> None:
    times = [ADMITTED + timedelta(minutes=minute) for minute in (0, 5, 5, 10, 15, 75)]
    assert usual_gap_minutes(times) == 5
    assert usual_gap_minutes(times[:2]) is None
    slow = [ADMITTED + timedelta(hours=number) for number in range(50)]
    assert usual_gap_minutes([*times, *slow]) == 60


def test_a_driver_names_itself_for_people() -> None:
    assert driver("lactate", 0.3, ADMITTED, 0.12, "<")["censored"] == "<"
    told = driver("lactate", 3.1, ADMITTED, 0.12)
    assert (told["short"], told["unit"], told["time"]) == ("Lact", "mmol/L", "2026-11-22T08:00:00Z")
    assert told["normal"] == [0.5, 2]


def test_times_end_in_z() -> None:
    assert instant(ADMITTED + timedelta(microseconds=7)) == "2026-11-22T08:00:00.000007Z"
    assert instant(None) is None
