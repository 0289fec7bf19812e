"""Features of the boosted peer: against a plain loop, blind to the future, and to the company in a block."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from benchmarks.peers.hourly_features import WINDOWS, Chart, chart_of, features
from models.clinical.stay import LabelledStay, Stay, observation_table
from models.mgp.standardise import VARIABLES

ADMITTED = datetime(2026, 1, 1, tzinfo=UTC)
RATE = VARIABLES.index("heart_rate")


def drawn(seed: int, hours: int = 40) -> Chart:
    """A chart with gaps, and some labelled hours left out."""
    rng = np.random.default_rng(seed)
    seen = np.argwhere(rng.random((hours, len(VARIABLES))) < 0.3)
    hour = 1 + np.flatnonzero(rng.random(hours) < 0.9)
    return Chart(
        stay_id=f"p{seed}",
        subject_id=f"p{seed}",
        hour_known=seen[:, 0] + 1,
        variable=seen[:, 1],
        value=rng.normal(50.0, 10.0, len(seen)),
        facts=np.array([70.0, 1.0, np.nan, np.nan, 12.0]),
        hour=hour,
        label=np.zeros(len(hour), dtype=np.int8),
    )


def until(chart: Chart, hour: int) -> Chart:
    """The chart as it stood at `hour`."""
    known, labelled = chart.hour_known <= hour, chart.hour <= hour
    return Chart(
        chart.stay_id,
        chart.subject_id,
        chart.hour_known[known],
        chart.variable[known],
        chart.value[known],
        chart.facts,
        chart.hour[labelled],
        chart.label[labelled],
    )


def test_features_are_those_of_a_plain_loop() -> None:
    chart = drawn(1)
    names, rows = features([chart])
    found = {name: rows[:, place] for place, name in enumerate(names)}
    own = chart.variable == RATE
    hours, values = chart.hour_known[own], chart.value[own]
    for row, hour in enumerate(chart.hour):
        past = values[hours <= hour]
        expected = {"count heart_rate": float(len(past))}
        if len(past):
            expected["last heart_rate"] = past[-1]
            expected["hours since heart_rate"] = hour - hours[hours <= hour][-1]
            expected["change since first heart_rate"] = past[-1] - past[0]
        if len(past) > 1:
            expected["change heart_rate"] = past[-1] - past[-2]
        for window in WINDOWS:
            recent = values[(hours <= hour) & (hours > hour - window)]
            figures = ("mean", recent.mean), ("least", recent.min), ("greatest", recent.max)
            for figure, value in (*figures, ("spread", recent.std)) if len(recent) else ():
                expected[f"{figure} {window} h heart_rate"] = value()
        for name, value in expected.items():
            assert found[name][row] == pytest.approx(value, rel=1e-5, abs=1e-4), (name, hour)


def test_a_variable_never_measured_has_no_number() -> None:
    chart = drawn(2, hours=4)
    names, rows = features([chart])
    missing = [m for m in range(len(VARIABLES)) if m not in chart.variable]
    assert missing  # four hours at three in ten leave some out
    for m in missing:
        for kind in ("last", "hours since", "change", "change since first"):
            assert np.isnan(rows[:, names.index(f"{kind} {VARIABLES[m]}")]).all()
        assert (rows[:, names.index(f"count {VARIABLES[m]}")] == 0).all()


@pytest.mark.parametrize("hour", [1, 7, 25])
def test_what_comes_later_changes_nothing(hour: int) -> None:
    chart = drawn(3)
    _, whole = features([chart])
    _, before = features([until(chart, hour)])
    np.testing.assert_array_equal(whole[chart.hour <= hour], before)


def test_a_stay_has_the_same_features_in_company() -> None:
    charts = [drawn(4, 60), drawn(5, 9), drawn(6, 33)]
    _, together = features(charts)
    alone = [features([chart])[1] for chart in charts]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_a_value_enters_when_it_is_known() -> None:
    measured = [ADMITTED + timedelta(hours=h) for h in (1, 2, 2)]
    known = [ADMITTED + timedelta(hours=1), ADMITTED + timedelta(hours=2, minutes=30), measured[2]]
    stay = Stay(
        "s",
        "s",
        ADMITTED,
        observation_table(measured, known, ["heart_rate", "heart_rate", "gcs_total"], [80.0, 120.0, 15.0]),
        age_years=50.0,
        sex="female",
        care_unit="MICU",
        hospital_admitted_at=ADMITTED - timedelta(hours=6),
    )
    chart = chart_of(LabelledStay(stay, np.arange(1, 5), np.zeros(4, dtype=np.int8)))
    names, rows = features([chart])
    assert rows[:, names.index("last heart_rate")].tolist() == [80.0, 80.0, 120.0, 120.0]
    assert chart.facts.tolist() == [50.0, 1.0, 1.0, 0.0, 6.0]
    assert rows[:, names.index("hours in hospital")].tolist() == [7.0, 8.0, 9.0, 10.0]
