"""When infection was suspected: pairs of antibiotics and cultures, and the rules that need no cultures."""

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from models.clinical.errors import InvalidInput
from models.clinical.interventions import intervention_table
from models.clinical.stay import Stay
from pipelines.label import suspicion
from pipelines.label.suspicion import SuspicionRule

ADMITTED = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
Given = list[tuple[str, float, float]]  # kind, start and end in hours of stay


def stay_of(given: Given) -> Stay:
    start = [ADMITTED + timedelta(hours=row[1]) for row in given]
    end = [ADMITTED + timedelta(hours=row[2]) for row in given]
    kind = [row[0] for row in given]
    table = intervention_table(start, end, kind, [np.nan] * len(given), [""] * len(given))
    return Stay("s", "s", ADMITTED, interventions=table)


@pytest.mark.parametrize(
    ("antibiotics", "cultures", "expected"),
    [
        ([10], [34], [10]),  # 24 h after the antibiotic, inclusive
        ([10], [34.01], []),
        ([82], [10], [10]),  # 72 h after the culture, inclusive
        ([82.01], [10], []),
        ([10], [10], [10]),
        ([], [3], []),
        ([3], [], []),
        ([-5.5], [-6], [-6]),  # both before the admission
        ([30, 10, 10], [12], [10, 12]),  # unsorted and twice
    ],
)
def test_a_pair_is_inclusive_and_stands_at_its_earlier_end(
    antibiotics: list[float], cultures: list[float], expected: list[float]
) -> None:
    assert suspicion.hours(antibiotics, cultures) == expected
    assert suspicion.hours(np.array(antibiotics), np.array(cultures)) == expected


@pytest.mark.parametrize(
    ("antibiotics", "expected"),
    [([0, 24], [0]), ([0, 24.5], []), ([5, 5], []), ([0, 20, 40, 90], [0, 20]), ([], [])],
)
def test_without_cultures_a_second_antibiotic_within_24_hours_makes_a_suspicion(
    antibiotics: list[float], expected: list[float]
) -> None:
    assert suspicion.hours(antibiotics, [], "antibiotics") == expected


def test_an_order_that_ran_a_day_is_a_repeated_antibiotic() -> None:
    assert suspicion.hours([4, 50], [], "antibiotics", antibiotic_end_hours=[28, 60]) == [4]


@pytest.mark.parametrize(
    ("antibiotics", "ends", "expected"),
    [
        ([0, 24, 48], None, [0]),  # the last dose holds for its 24 h
        ([0, 24, 47], None, []),
        ([0, 24.5, 48, 72], None, []),  # a gap of more than 24 h ends the course
        ([0, 25, 49, 73], None, [25]),
        ([0], [48], [0]),
        ([0], [47], []),
        ([0, 10], [60, 11], [0]),  # a short course inside a long one does not end it
        ([-30, -6, 18], None, [-30]),
    ],
)
def test_a_continued_antibiotic_leaves_no_gap_of_a_day_within_72_hours(
    antibiotics: list[float], ends: list[float] | None, expected: list[float]
) -> None:
    found = suspicion.hours(antibiotics, [], "antibiotics_72h", antibiotic_end_hours=ends)
    assert found == expected


def test_thousands_of_doses_are_no_burden() -> None:
    doses = np.arange(20_000) / 4
    started = time.perf_counter()
    assert len(suspicion.hours(doses, [], "antibiotics_72h")) == 20_000 - 4 * 48
    assert time.perf_counter() - started < 20  # by pairs it is minutes


def test_the_paired_rule_of_72_hours_asks_for_both() -> None:
    doses = [0.0, 20.0, 40.0, 60.0]
    assert suspicion.hours(doses, [2], "and_72h") == [0]
    assert suspicion.hours(doses[:2], [2], "and_72h") == []
    assert suspicion.hours(doses, [], "and_72h") == []


def test_what_is_no_hour_or_no_rule_is_refused() -> None:
    with pytest.raises(InvalidInput, match="nan is not finite"):
        suspicion.hours([1, float("nan")], [2])
    with pytest.raises(InvalidInput, match="expected one of and, antibiotics"):
        suspicion.hours([1], [2], "sometimes")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="2 antibiotics but 1 ends"):
        suspicion.hours([1, 2], [2], antibiotic_end_hours=[3])


@pytest.mark.parametrize(
    ("rule", "expected"), [("and", [-3]), ("and_72h", [-3]), ("antibiotics", [2]), ("antibiotics_72h", [2])]
)
def test_a_stay_is_read_by_the_start_of_its_orders(rule: SuspicionRule, expected: list[float]) -> None:
    stay = stay_of([("culture", -3, -3), ("antibiotic", 2, 80), ("culture", 40, 40), ("sedation", 0, 9)])
    assert stay.hours(suspicion.times(stay, rule)).tolist() == expected


def test_no_suspicion_has_no_times() -> None:
    assert suspicion.times(stay_of([])).empty
    assert str(suspicion.times(stay_of([])).dtype) == "datetime64[us, UTC]"
