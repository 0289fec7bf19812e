"""SOFA of 1996, clause by clause: every threshold, what is paired with what, and what missing means."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from models.clinical.errors import InvalidInput
from models.clinical.interventions import InterventionKind, intervention_table
from models.clinical.stay import Stay, observation_table
from pipelines.label import hours, sofa
from pipelines.label.points import below, coma_scale
from pipelines.label.sofa import COMPONENTS, HourlySofa

ADMITTED = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
Seen = tuple[float, str, float]  # hour of stay, variable, value
Given = tuple[str, float, float, float]  # kind, start and end in hours of stay, rate
VENTILATED: Given = ("invasive_ventilation", -2, 40, np.nan)


def at(hour: float) -> datetime:
    return ADMITTED + timedelta(hours=hour)


def stay_of(seen: list[Seen], given: tuple[Given, ...] = (), until: float | None = None) -> Stay:
    time = [at(row[0]) for row in seen]
    observations = observation_table(time, time, [row[1] for row in seen], [row[2] for row in seen])
    kinds, starts, ends, rates = zip(*given, strict=True) if given else ((), (), (), ())
    interventions = intervention_table(
        [at(h) for h in starts], [at(h) for h in ends], kinds, rates, [""] * len(kinds)
    )
    discharged = None if until is None else at(until)
    return Stay("s", "s", ADMITTED, observations, interventions=interventions, discharged_at=discharged)


def points(stay: Stay, component: str, hour: int) -> float:
    return float(sofa.hourly(stay).components[hour, COMPONENTS.index(component)])


@pytest.mark.parametrize(
    ("component", "variable", "by_value"),
    [
        ("coagulation", "platelets", {150: 0, 149: 1, 100: 1, 99: 2, 50: 2, 49: 3, 20: 3, 19: 4}),
        ("liver", "bilirubin_total", {1.19: 0, 1.2: 1, 1.9: 1, 2: 2, 5.9: 2, 6: 3, 11.9: 3, 12: 4}),
        ("cardiovascular", "mean_arterial_pressure", {70: 0, 69.9: 1, 30: 1}),
        ("nervous", "gcs_total", {15: 0, 14: 1, 13: 1, 12: 2, 10: 2, 9: 3, 6: 3, 5: 4, 3: 4}),
        ("renal", "creatinine", {1.1: 0, 1.2: 1, 1.9: 1, 2: 2, 3.4: 2, 3.5: 3, 4.9: 3, 5: 4}),
    ],
)
def test_every_threshold_of_a_single_value(component: str, variable: str, by_value: dict[float, int]) -> None:
    found = {value: points(stay_of([(2.5, variable, value)]), component, 2) for value in by_value}
    assert found == by_value


@pytest.mark.parametrize(
    ("pao2", "supported", "unsupported"),
    [(200, 0, 0), (199, 1, 1), (150, 1, 1), (149, 2, 2), (100, 2, 2), (99, 3, 2), (50, 3, 2), (49, 4, 2)],
)
def test_respiration_above_two_points_needs_support(pao2: float, supported: int, unsupported: int) -> None:
    seen: list[Seen] = [(1, "fio2", 0.5), (2, "pao2", pao2)]
    assert points(stay_of(seen, (VENTILATED,)), "respiration", 2) == supported
    assert points(stay_of(seen), "respiration", 2) == unsupported


@pytest.mark.parametrize(("pao2", "expected"), [(112, 0), (111.9, 1), (84, 1), (56, 2)])
def test_a_ratio_that_is_a_limit_is_not_below_it(pao2: float, expected: int) -> None:
    # 112 / 0.28 is 399.99999999999994 in binary
    assert points(stay_of([(1, "fio2", 0.28), (2, "pao2", pao2)]), "respiration", 2) == expected


@pytest.mark.parametrize(
    ("seen", "given", "expected"),
    [
        ([(1, "fio2", 0.5)], (("noninvasive_ventilation", 0, 9, np.nan),), 4),
        ([(1, "fio2", 0.5)], (("noninvasive_ventilation", 0, 2, np.nan),), 4),
        ([(1, "fio2", 0.5)], (("noninvasive_ventilation", 0, 1.9, np.nan),), 2),  # over before the gas
        ([(1, "fio2", 0.5), (0, "total_peep", 5)], (), 4),  # no ventilation charted: its settings tell
        ([(1, "fio2", 0.5), (0, "total_peep", 0)], (), 2),
        ([(1, "fio2", 0.5), (0, "total_peep", 5)], (("invasive_ventilation", 5, 9, np.nan),), 2),
        ([], (), 2),  # 40 / 0.21: room air
        ([], (VENTILATED,), np.nan),
        ([(0, "oxygen_flow", 4)], (), np.nan),
        ([(0, "oxygen_flow", 0)], (), 2),
    ],
)
def test_the_oxygen_and_the_support_of_a_gas(
    seen: list[Seen], given: tuple[Given, ...], expected: float
) -> None:
    found = points(stay_of([*seen, (2, "pao2", 40)], given), "respiration", 2)
    np.testing.assert_equal(found, expected)


def test_an_oxygen_fraction_holds_for_8_hours_and_forbids_room_air_for_24() -> None:
    def after(hour: float) -> float:
        return points(stay_of([(0, "fio2", 0.5), (hour, "pao2", 80)]), "respiration", int(hour))

    assert after(8) == 2  # 160
    np.testing.assert_equal(after(8.1), np.nan)
    assert after(24.1) == 1  # 80 / 0.21 = 381
    # the newest counts, and what was set later does not
    seen: list[Seen] = [(0, "fio2", 1), (1, "fio2", 0.25), (2, "pao2", 90), (2.1, "fio2", 1)]
    assert points(stay_of(seen), "respiration", 2) == 1


@pytest.mark.parametrize(("hour", "expected"), [(8, 3), (8.1, 2)])
def test_a_ventilator_setting_holds_for_8_hours(hour: float, expected: int) -> None:
    seen: list[Seen] = [(0, "total_peep", 5), (hour, "fio2", 0.5), (hour, "pao2", 80)]
    assert points(stay_of(seen), "respiration", 8) == expected


def test_mean_pressure_is_worked_out_where_it_was_not_charted() -> None:
    def pressures(*seen: Seen) -> float:
        return points(stay_of([(1, "systolic_pressure", 90), *seen]), "cardiovascular", 1)

    assert pressures((1, "diastolic_pressure", 59)) == 1  # 69.3
    assert pressures((1, "diastolic_pressure", 60)) == 0
    assert pressures((1, "diastolic_pressure", 40), (1, "mean_arterial_pressure", 75)) == 0
    np.testing.assert_equal(pressures((1.5, "diastolic_pressure", 40)), np.nan)


@pytest.mark.parametrize(
    ("kind", "by_rate"),
    [
        ("dopamine", {0.1: 2, 5: 2, 5.1: 3, 15: 3, 15.1: 4, np.nan: 2}),
        ("dobutamine", {0.5: 2, 40: 2, np.nan: 2}),
        ("epinephrine", {0.01: 3, 0.1: 3, 0.11: 4, np.nan: 3}),
        ("norepinephrine", {0.01: 3, 0.1: 3, 0.11: 4, np.nan: 3}),
        ("vasopressin", {0.04: 0}),  # not in the table of 1996
        ("norepinephrine", {0.0: 0}),
    ],
)
def test_every_rate_of_a_vasopressor(kind: str, by_rate: dict[float, int]) -> None:
    seen: list[Seen] = [(0, "mean_arterial_pressure", 80)]
    for rate, expected in by_rate.items():
        assert points(stay_of(seen, ((kind, 1, 2, rate),), until=5), "cardiovascular", 1) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (((1, 1.9, 0.2),), 0),
        (((1, 1.5, 0.2), (1.5, 2, 0.05)), 3),  # an hour in all, above 0.1 for half of it
        (((1, 1.5, 0.2), (1.7, 2.2, 0.3)), 4),  # 12 minutes for the syringe
        (((1, 1.5, 0.2), (1.8, 2.3, 0.3)), 0),
        (((1, 1, 0.2),), 0),
    ],
)
def test_a_rate_must_have_run_for_an_hour(
    given: tuple[tuple[float, float, float], ...], expected: int
) -> None:
    runs = tuple(("norepinephrine", *row) for row in given)
    stay = stay_of([(0, "mean_arterial_pressure", 80)], runs, until=5)
    assert points(stay, "cardiovascular", 2) == expected


def test_two_agents_do_not_add_up_to_an_hour() -> None:
    given: tuple[Given, ...] = (("norepinephrine", 1, 1.5, 0.2), ("epinephrine", 1.5, 2, 0.2))
    assert points(stay_of([(0, "mean_arterial_pressure", 80)], given, until=5), "cardiovascular", 2) == 0


def test_a_vasopressor_counts_from_its_start_and_is_a_measurement() -> None:
    found = sofa.hourly(stay_of([], (("norepinephrine", 2.5, 4, 0.05),), until=40)).components[:, 3]
    assert np.isnan(found[:2]).all()
    assert (found[2:27] == 3).all()  # hours 2 and 3 and the 24 that look back on them
    assert np.isnan(found[27:]).all()


def coma(hour: float, eye: int, verbal: int, motor: int) -> list[Seen]:
    return [(hour, "gcs_eye", eye), (hour, "gcs_verbal", verbal), (hour, "gcs_motor", motor)]


@pytest.mark.parametrize(
    ("seen", "given", "expected"),
    [
        (coma(2, 3, 4, 5), (), 2),
        ([*coma(1, 4, 5, 6), *coma(30, 1, 0, 1)], (), np.nan),  # the last total is 29 h old
        ([*coma(1, 4, 4, 6), *coma(30, 1, 0, 1), *coma(20, 1, 0, 1)], (), 1),  # the tube came within 19 h
        (coma(30, 1, 0, 1), (), np.nan),  # never a 3 for the tube
        ([*coma(20, 4, 5, 6), (30, "gcs_total", 3)], (), 4),
        ([(20, "gcs_total", 10), (30, "gcs_total", 3)], (VENTILATED,), np.nan),  # nothing before the tube
        ([*coma(20, 4, 5, 6), (30, "gcs_total", 3)], (VENTILATED,), 0),  # who speaks can be tested
        ([*coma(20, 4, 5, 6), (30, "gcs_total", 3)], (("invasive_ventilation", 21, 40, 0.0),), 0),
        ([(30, "gcs_total", 12)], (VENTILATED,), 2),  # 12 points take a spoken answer
        (coma(30, 4, 2, 5), (VENTILATED,), 2),
        ([*coma(30, 4, 5, 6), (30, "gcs_total", 8)], (), 3),  # total and sum disagree: the worse
        ([(30, "gcs_motor", 1), (30, "gcs_eye", 1)], (), np.nan),
    ],
)
def test_the_coma_scale_and_the_tube(seen: list[Seen], given: tuple[Given, ...], expected: float) -> None:
    stay = hours.read(stay_of(seen, given, until=31))
    # the newest charting alone: a component would show the worst of 24 h
    scale = coma_scale(stay, stay.given(InterventionKind.INVASIVE_VENTILATION)).value[-1:]
    np.testing.assert_equal(below(scale, (15, 13, 10, 6)).tolist() or [np.nan], [expected])


@pytest.mark.parametrize(("volume", "expected"), [(21, 0), (20, 3), (8.4, 3), (8, 4), (0, 4)])
def test_urine_of_a_full_day(volume: float, expected: int) -> None:
    found = sofa.hourly(stay_of([(float(h), "urine_output", volume) for h in range(1, 49)])).components[:, 5]
    assert np.isnan(found[:24]).all()  # no day has passed yet
    assert (found[24:] == expected).all()


def test_urine_that_nobody_charted_is_no_anuria() -> None:
    seen: list[Seen] = [(float(h), "urine_output", 100) for h in range(1, 31)]
    found = sofa.hourly(stay_of([*seen, (50, "urine_output", 90), (51, "heart_rate", 80)])).components[:, 5]
    assert (found[24:50] == 0).all()
    assert np.isnan(found[50:]).all()
    once = stay_of([(30, "urine_output", 100)])
    np.testing.assert_equal(points(once, "renal", 30), np.nan)


def test_urine_entries_of_one_time_add_up_and_a_repeated_one_does_not() -> None:
    def day(*volumes: float) -> float:
        seen: list[Seen] = [(float(h), "urine_output", v) for h in range(1, 25) for v in volumes]
        return points(stay_of(seen), "renal", 24)

    assert day(12, 13) == 0  # 600 mL
    assert day(12, 12) == 3  # 288 mL, written twice


@pytest.mark.parametrize("seed", range(5))
def test_a_day_of_urine_in_tenths_is_added_up_exactly(seed: int) -> None:
    random = np.random.default_rng(seed)
    day_before, day = random.integers(10, 400, 24), random.integers(100, 210, 23)
    tenths = [*day_before, *day, 5000 - day.sum()]
    seen: list[Seen] = [(float(h), "urine_output", int(t) / 10) for h, t in enumerate(tenths, start=1)]
    assert points(stay_of(seen), "renal", 48) == 0  # 500 mL are not below 500


def test_urine_that_recovers_counts_no_longer() -> None:
    seen: list[Seen] = [(float(h), "urine_output", 5 if h <= 24 else 100) for h in range(1, 49)]
    found = sofa.hourly(stay_of(seen)).components[:, 5]
    assert found[24] == 4
    assert found[30] == 0  # 18 h of 5 mL and 6 h of 100


def test_the_worst_of_24_hours_and_then_missing() -> None:
    stay = stay_of([(2.9, "platelets", 40), (4, "platelets", 120), (60, "heart_rate", 80)])
    found = sofa.hourly(stay)
    coagulation = found.components[:, 1]
    assert np.isnan(coagulation[:2]).all()
    assert (coagulation[2:26] == 3).all()  # hour 25 is the 24th to look back on hour 2
    assert (coagulation[26:28] == 1).all()
    assert np.isnan(coagulation[28:]).all()
    np.testing.assert_array_equal(found.missing, np.isnan(found.components))
    np.testing.assert_array_equal(found.total, np.nan_to_num(coagulation))


def test_a_missing_component_does_not_zero_the_others() -> None:
    seen: list[Seen] = [(1, "platelets", 40), (1, "creatinine", 2.5), (1, "pao2", 60), (1, "oxygen_flow", 5)]
    found = sofa.hourly(stay_of(seen))
    assert found.total[1] == 5
    assert found.never_measured == ("respiration", "liver", "cardiovascular", "nervous")


def test_a_withdrawn_value_is_not_read_and_a_late_one_is() -> None:
    observations = observation_table(
        [at(1), at(1), at(2)],
        [at(1), at(9), at(30)],
        ["platelets", "platelets", "creatinine"],
        [15, 160, 5.5],
        known_until=[at(9), pd.NaT, pd.NaT],
    )
    found = sofa.hourly(Stay("s", "s", ADMITTED, observations))
    assert found.components[2, 1] == 0
    assert found.components[2, 5] == 4  # measured in hour 2, though known much later


@pytest.mark.parametrize(
    ("seen", "given", "until", "count"),
    [
        ([], (), None, 0),
        ([], (), 30.0, 30),
        ([], (), 30.1, 31),
        ([(3.0, "heart_rate", 80)], (), None, 4),
        ([(30.0, "heart_rate", 80)], (), 30.0, 31),  # charted at the moment of leaving
        ([], (("norepinephrine", 5, 90, 0.1),), None, 6),
        ([], (("norepinephrine", 5, 90, 0.1),), 20.0, 20),
    ],
)
def test_the_hours_of_a_stay(
    seen: list[Seen], given: tuple[Given, ...], until: float | None, count: int
) -> None:
    found = sofa.hourly(stay_of(seen, given, until))
    assert found.hour.tolist() == list(range(count))
    assert found.components.shape == (count, 6)


def filled(missing: str, **options: bool) -> list[float]:
    column = np.array([np.nan, 2, np.nan, 1, np.nan])
    components = np.column_stack([column, np.full((5, 5), np.nan)])
    found = HourlySofa(np.arange(5), np.nansum(components, axis=1), components, np.isnan(components))
    held = found.filled(missing, **options)  # type: ignore[arg-type]
    assert (held[:, 1:] == 0).all()
    return [float(value) for value in held[:, 0]]


def test_what_a_missing_component_is_worth() -> None:
    assert filled("zero") == [0, 2, 0, 1, 0]
    assert filled("unknown") == [2, 2, 2, 1, 1]
    assert filled("unknown", backwards=False) == [0, 2, 2, 1, 1]


def test_an_unknown_definition_is_refused() -> None:
    with pytest.raises(InvalidInput, match="expected one of sofa, sofa2"):
        sofa.hourly(stay_of([]), definition="sofa3")  # type: ignore[arg-type]
