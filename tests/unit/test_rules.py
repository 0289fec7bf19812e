"""The rules over time: what is latest, how long it holds, and when there is no score."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from models import registry
from models.base import EarlyWarningModel
from models.clinical.errors import UnreadableSource
from models.clinical.score import Score, ScoreStatus
from models.clinical.stay import Stay, observation_table
from models.rules import NEWS2, QSOFA, SIRS, CarryForward

ADMITTED = datetime(2026, 3, 1, tzinfo=UTC)
Row = tuple[float, float, str, float]  # measured at hour, known at hour, variable, value


def stay_of(*rows: Row) -> Stay:
    time = [ADMITTED + timedelta(hours=row[0]) for row in rows]
    known_at = [ADMITTED + timedelta(hours=row[1]) for row in rows]
    return Stay(
        "s", "s", ADMITTED, observation_table(time, known_at, [r[2] for r in rows], [r[3] for r in rows])
    )


def at_hour(model: EarlyWarningModel, hour: int, *rows: Row) -> Score:
    return list(model.score(stay_of(*rows), ADMITTED + timedelta(hours=hour)))[hour - 1]


def test_before_any_observation_there_is_no_score() -> None:
    score = at_hour(QSOFA(), 1, (1.5, 1.5, "respiratory_rate", 30))
    assert (score.status, score.value, score.reason) == (ScoreStatus.ABSENT, None, "no observation yet")


def test_too_few_components_give_no_score_and_say_which_are_missing() -> None:
    score = at_hour(NEWS2(), 1, (0.5, 0.5, "respiratory_rate", 16), (0.5, 0.5, "heart_rate", 70))
    assert (score.status, score.value) == (ScoreStatus.INDETERMINATE, None)
    assert score.reason == (
        "2 of 5 components known, needs 3; not measured: oxygen saturation, systolic pressure, temperature"
    )


def test_oxygen_is_inferred_and_does_not_count_as_known() -> None:
    few = ((0.5, 0.5, "respiratory_rate", 16.0), (0.5, 0.5, "heart_rate", 70.0))
    assert at_hour(NEWS2(), 1, *few, (0.5, 0.5, "fio2", 0.4)).status is ScoreStatus.INDETERMINATE


def test_few_components_that_already_reach_the_cut_give_a_score() -> None:
    score = at_hour(NEWS2(), 1, (0.5, 0.5, "respiratory_rate", 30), (0.5, 0.5, "oxygen_saturation", 85))
    assert score.status is ScoreStatus.PRESENT
    assert score.value == 6 / 20


def test_other_variables_alone_are_indeterminate_not_absent() -> None:
    score = at_hour(SIRS(), 1, (0.5, 0.5, "glucose", 100))
    assert score.status is ScoreStatus.INDETERMINATE
    assert "0 of 4" in score.reason


def test_a_value_that_is_not_a_number_is_not_measured() -> None:
    score = at_hour(QSOFA(), 1, (0.5, 0.5, "respiratory_rate", np.nan), (0.5, 0.5, "systolic_pressure", 90))
    assert "not measured: respiratory rate" in score.reason


@pytest.mark.parametrize(("hour", "status"), [(12, ScoreStatus.PRESENT), (13, ScoreStatus.INDETERMINATE)])
def test_vital_signs_hold_for_twelve_hours(hour: int, status: ScoreStatus) -> None:
    pair = ((0.0, 0.0, "respiratory_rate", 30.0), (0.0, 0.0, "systolic_pressure", 90.0))
    score = at_hour(QSOFA(), hour, *pair)
    assert score.status is status
    assert ("too old: respiratory rate, systolic pressure" in score.reason) == (hour == 13)


@pytest.mark.parametrize(("hour", "value"), [(24, 3 / 4), (25, 2 / 4)])
def test_laboratory_values_hold_for_twenty_four_hours(hour: int, value: float) -> None:
    vitals = [(20.0, 20.0, name, 100.0) for name in ("heart_rate", "respiratory_rate")]
    assert at_hour(SIRS(), hour, (0, 0, "wbc", 20), (20, 20, "temperature", 37), *vitals).value == value


@pytest.mark.parametrize(("hour", "value"), [(24, 2 / 20), (25, 0.0)])
def test_inspired_oxygen_holds_for_twenty_four_hours(hour: int, value: float) -> None:
    well = [(20.0, 20.0, "heart_rate", 70.0), (20, 20, "respiratory_rate", 16), (20, 20, "temperature", 37)]
    assert at_hour(NEWS2(), hour, (0, 0, "fio2", 0.5), *well).value == value


def test_late_news_of_an_older_measurement_does_not_replace_the_newer() -> None:
    rows = ((0.5, 1.5, "respiratory_rate", 30.0), (0.8, 0.9, "respiratory_rate", 16.0))
    assert at_hour(QSOFA(), 2, *rows, (0.5, 0.5, "systolic_pressure", 120)).value == 0.0


def test_a_measurement_counts_from_when_it_is_known() -> None:
    rows = ((0.5, 0.5, "respiratory_rate", 16.0), (0.9, 2.5, "respiratory_rate", 30.0))
    pressure = (0.5, 0.5, "systolic_pressure", 120.0)
    assert [at_hour(QSOFA(), hour, *rows, pressure).value for hour in (1, 2, 3)] == [0.0, 0.0, 1 / 3]


def test_a_correction_of_the_same_moment_replaces_the_value() -> None:
    rows = ((0.5, 0.6, "respiratory_rate", 30.0), (0.5, 1.5, "respiratory_rate", 16.0))
    pressure = (0.5, 0.5, "systolic_pressure", 120.0)
    assert [at_hour(QSOFA(), hour, *rows, pressure).value for hour in (1, 2)] == [1 / 3, 0.0]


def test_explanation_names_points_values_and_times() -> None:
    rows = (
        (0.5, 0.5, "respiratory_rate", 30.0),
        (0.7, 0.7, "heart_rate", 95.0),
        (0.7, 0.7, "temperature", 37.0),
    )
    first, second, *others = NEWS2().explain(stay_of(*rows), ADMITTED + timedelta(hours=1)).contributions
    assert (first.variable, first.share, first.value) == ("respiratory_rate", 3 / 20, 30.0)
    assert first.time == ADMITTED + timedelta(minutes=30)
    assert (second.variable, second.share) == ("heart_rate", 1 / 20)
    assert [other.share for other in others] == [0.0] * 4
    missing = {other.variable for other in others if other.value is None}
    assert missing == {"oxygen_saturation", "systolic_pressure", "fio2"}


def test_explanation_of_a_shared_criterion_names_the_variable_that_met_it() -> None:
    rows = ((0.5, 0.5, "respiratory_rate", 16.0), (0.5, 0.5, "paco2", 25.0))
    best = SIRS().explain(stay_of(*rows), ADMITTED + timedelta(hours=1)).contributions[0]
    assert (best.variable, best.share, best.value) == ("paco2", 1 / 4, 25.0)


def test_a_rule_loads_without_a_folder_and_learns_nothing(tmp_path: Path) -> None:
    rule = NEWS2.load(tmp_path / "nowhere")
    assert rule.version == NEWS2().version == registry.load("news2").version
    assert rule.fit([], []) is rule


def test_carry_times_travel_with_the_saved_rule(tmp_path: Path) -> None:
    saved = QSOFA(CarryForward(vital_hours=2))
    saved.save(tmp_path)
    loaded = registry.load(tmp_path)
    pair = ((0.0, 0.0, "respiratory_rate", 30.0), (0.0, 0.0, "systolic_pressure", 90.0))
    assert loaded.version == saved.version != QSOFA().version
    assert at_hour(loaded, 3, *pair).status is ScoreStatus.INDETERMINATE


@pytest.mark.parametrize(
    "change", [{"version": "0"}, {"model": "sirs"}, {"carry": {}, "version": "0"}, {"carry": {"weeks": 1}}]
)
def test_a_saved_rule_that_is_not_this_one_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    QSOFA().save(tmp_path)
    path = tmp_path / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UnreadableSource, match=r"model\.json"):
        QSOFA.load(tmp_path)
