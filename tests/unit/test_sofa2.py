"""SOFA-2, clause by clause, where it differs from SOFA."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from models.clinical.interventions import intervention_table
from models.clinical.stay import Stay, observation_table
from pipelines.label import sofa
from pipelines.label.sofa import COMPONENTS

ADMITTED = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
Seen = tuple[float, str, float]
Given = tuple[str, float, float, float, str]  # kind, start and end in hours of stay, rate, agent
VENTILATED: Given = ("invasive_ventilation", -2, 40, np.nan, "")
PRESSURE: Seen = (0, "mean_arterial_pressure", 80)


def stay_of(seen: list[Seen], given: tuple[Given, ...] = (), until: float | None = None) -> Stay:
    def at(hour: float) -> datetime:
        return ADMITTED + timedelta(hours=hour)

    time = [at(row[0]) for row in seen]
    observations = observation_table(time, time, [row[1] for row in seen], [row[2] for row in seen])
    kinds, starts, ends, rates, agents = zip(*given, strict=True) if given else ((), (), (), (), ())
    interventions = intervention_table([at(h) for h in starts], [at(h) for h in ends], kinds, rates, agents)
    discharged = None if until is None else at(until)
    return Stay("s", "s", ADMITTED, observations, interventions=interventions, discharged_at=discharged)


def points(stay: Stay, component: str, hour: int) -> float:
    return float(sofa.hourly(stay, definition="sofa2").components[hour, COMPONENTS.index(component)])


@pytest.mark.parametrize(
    ("component", "variable", "by_value"),
    [
        ("coagulation", "platelets", {151: 0, 150: 1, 101: 1, 100: 2, 81: 2, 80: 3, 51: 3, 50: 4}),
        ("liver", "bilirubin_total", {1.2: 0, 1.3: 1, 3: 1, 3.1: 2, 6: 2, 6.1: 3, 12: 3, 12.1: 4}),
        ("cardiovascular", "mean_arterial_pressure", {70: 0, 69.9: 1}),
        ("nervous", "gcs_total", {15: 0, 14: 1, 13: 1, 12: 2, 9: 2, 8: 3, 6: 3, 5: 4, 3: 4}),
        ("renal", "creatinine", {1.2: 0, 1.3: 1, 2: 1, 2.1: 2, 3.5: 2, 3.6: 3, 9: 3}),
    ],
)
def test_every_threshold_of_a_single_value(component: str, variable: str, by_value: dict[float, int]) -> None:
    found = {value: points(stay_of([(2.5, variable, value)]), component, 2) for value in by_value}
    assert found == by_value


@pytest.mark.parametrize(
    ("pao2", "supported", "unsupported"),
    [(151, 0, 0), (150, 1, 1), (112.5, 2, 2), (75, 3, 2), (38, 3, 2), (37.5, 4, 2)],
)
def test_oxygen_pressure(pao2: float, supported: int, unsupported: int) -> None:
    seen: list[Seen] = [(1, "fio2", 0.5), (2, "pao2", pao2)]
    assert points(stay_of(seen, (VENTILATED,)), "respiration", 2) == supported
    assert points(stay_of(seen), "respiration", 2) == unsupported


@pytest.mark.parametrize(
    ("saturation", "fraction", "expected"), [(97, 0.32, 0), (96, 0.32, 1), (90, 0.45, 3), (90, 0.75, 4)]
)
def test_saturation_stands_in_for_a_missing_gas(saturation: float, fraction: float, expected: int) -> None:
    seen: list[Seen] = [(1, "fio2", fraction), (2, "oxygen_saturation", saturation)]
    assert points(stay_of(seen, (VENTILATED,)), "respiration", 2) == expected
    with_gas: list[Seen] = [*seen, (2, "pao2", 400)]
    assert points(stay_of(with_gas, (VENTILATED,)), "respiration", 2) == 0


def test_a_full_saturation_says_nothing_of_the_oxygen() -> None:
    seen: list[Seen] = [(1, "fio2", 0.9), (2, "oxygen_saturation", 98)]
    np.testing.assert_equal(points(stay_of(seen, (VENTILATED,)), "respiration", 2), np.nan)


def run(kind: str, rate: float) -> Given:
    return (kind, 1, 4, rate, "")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), 0),
        ((run("norepinephrine", 0.2),), 2),
        ((run("norepinephrine", 0.1), run("epinephrine", 0.11)), 3),  # 0.21 together
        ((run("norepinephrine", 0.4),), 3),
        ((run("norepinephrine", 0.41),), 4),
        ((run("norepinephrine", 0.1), run("vasopressin", 0.03)), 3),
        ((run("norepinephrine", 0.3), run("dopamine", 3)), 4),
        ((run("norepinephrine", 0.9), run("vasopressin", 0.03)), 4),
        ((run("vasopressin", 0.03),), 2),
        ((run("other_vasopressor", np.nan),), 2),
        ((run("dobutamine", 5),), 2),
        ((run("dopamine", 20),), 2),
        ((run("dopamine", 21),), 3),
        ((run("dopamine", 41),), 4),
        ((("norepinephrine", 1, 1.9, 0.9, ""),), 0),  # less than an hour
    ],
)
def test_vasopressors(given: tuple[Given, ...], expected: int) -> None:
    assert points(stay_of([PRESSURE], given, until=6), "cardiovascular", 3) == expected


@pytest.mark.parametrize(
    ("agent", "heart", "lungs"), [("balloon pump", 4, np.nan), ("VA ECMO", 4, 4), ("VV ECMO", 0, 4)]
)
def test_devices(agent: str, heart: float, lungs: float) -> None:
    stay = stay_of([PRESSURE], (("mechanical_circulation", 2, 4, np.nan, agent),), until=6)
    np.testing.assert_equal(points(stay, "cardiovascular", 3), heart)
    np.testing.assert_equal(points(stay, "respiration", 3), lungs)


def test_under_sedation_the_last_coma_scale_before_it_stands() -> None:
    sedated: Given = ("sedation", 10, 40, np.nan, "propofol")
    seen: list[Seen] = [(5, "gcs_total", 15), (12, "gcs_total", 4)]
    assert points(stay_of(seen, (sedated,)), "nervous", 12) == 0
    assert points(stay_of(seen), "nervous", 12) == 4


def test_renal_replacement_and_its_criteria() -> None:
    replaced: Given = ("renal_replacement", 3, 8, np.nan, "CRRT")
    stay = stay_of([(1, "creatinine", 1.0)], (replaced,), until=40)
    assert [points(stay, "renal", hour) for hour in (2, 3, 30)] == [0, 4, 4]
    assert points(stay_of([(1, "creatinine", 1.5), (1, "potassium", 6)]), "renal", 1) == 4
    assert points(stay_of([(1, "creatinine", 1.2), (1, "potassium", 6)]), "renal", 1) == 0
    acid: list[Seen] = [(1, "creatinine", 1.5), (1, "ph", 7.2), (1, "bicarbonate", 12)]
    assert points(stay_of(acid), "renal", 1) == 4
    assert points(stay_of(acid[:2]), "renal", 1) == 1


@pytest.mark.parametrize(("volume", "expected"), [(30, 0), (29, 2), (17, 3), (0, 3)])
def test_urine_by_weight(volume: float, expected: int) -> None:
    seen: list[Seen] = [(0.5, "body_weight", 60)]
    seen += [(float(h), "urine_output", volume) for h in range(1, 26)]
    assert points(stay_of(seen), "renal", 25) == expected
    np.testing.assert_equal(points(stay_of(seen[1:]), "renal", 25), np.nan)  # no weight


def test_urine_of_6_and_12_hours() -> None:
    seen: list[Seen] = [(0.5, "body_weight", 60)]
    seen += [(float(h), "urine_output", 27 if h > 10 else 60) for h in range(1, 30)]
    found = {hour: points(stay_of(seen), "renal", hour) for hour in (5, 12, 16, 22)}
    np.testing.assert_equal(found[5], np.nan)
    assert [found[hour] for hour in (12, 16, 22)] == [0, 1, 2]


def test_anuria_of_12_hours() -> None:
    seen: list[Seen] = [(0.5, "body_weight", 60)]
    seen += [(float(h), "urine_output", 100 if h < 13 else 0) for h in range(1, 30)]
    assert [points(stay_of(seen), "renal", hour) for hour in (23, 24)] == [2, 3]
