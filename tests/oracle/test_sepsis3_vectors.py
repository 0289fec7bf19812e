"""Sepsis-3 against a published vector, and against the papers' words in plain loops over random stays."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import floor, isnan, nan

import numpy as np
import pytest

from models.clinical.interventions import intervention_table
from models.clinical.stay import Stay, observation_table
from pipelines.label import sepsis3, sofa, suspicion
from pipelines.label.presets import Baseline, OnsetAt, Suspicions

ADMITTED = datetime(2026, 3, 1, tzinfo=UTC)
Row = tuple[int, str, float]  # minute of stay, variable, value
Charted = list[tuple[int, float]]
Run = tuple[int, int, str, float]  # first and last minute, kind, rate


def test_published_suspicions_of_infection() -> None:
    antibiotics = [48, 52, 57, 61, 72, 80, 84, 92, 93, 104, 115, 192, 216]
    assert suspicion.hours(antibiotics, [1, 48, 70]) == [1, 48, 52, 57, 61, 70]


# --- SOFA, organ by organ and hour by hour, as a person would chart it -------------------------------------


def looked_up(rows: list[Row], name: str, since: int, until: int) -> Charted:
    """The (minute, value) of a variable in [since, until), oldest first."""
    return sorted(
        (minute, value) for minute, variable, value in rows if variable == name and since <= minute < until
    )


def worst(points: list[int]) -> float:
    return float(max(points)) if points else nan


def graded(value: float, grades: list[tuple[float, int]], rising: bool) -> int:
    reached = [points for limit, points in grades if (value >= limit if rising else value < limit)]
    return max(reached, default=0)


def breathing(rows: list[Row], runs: list[Run], hour: int) -> float:
    ventilations = [run for run in runs if run[2].endswith("ventilation")]
    found = []
    for minute, pao2 in looked_up(rows, "pao2", (hour - 23) * 60, (hour + 1) * 60):
        support = any(first <= minute <= last for first, last, _, _ in ventilations)
        setting = looked_up(rows, "total_peep", minute - 480, minute + 1)
        if setting and not ventilations:
            support = setting[-1][1] > 0
        charted = looked_up(rows, "fio2", minute - 1440, minute + 1)
        flows = [flow for _, flow in looked_up(rows, "oxygen_flow", minute - 1440, minute + 1) if flow > 0]
        if charted and charted[-1][0] >= minute - 480:
            fraction = charted[-1][1]
        elif charted or support or flows:
            continue
        else:
            fraction = 0.21
        points = graded(pao2 / fraction, [(400, 1), (300, 2), (200, 3), (100, 4)], rising=False)
        found.append(points if support else min(points, 2))
    return worst(found)


def running(runs: list[Run], kind: str, above: float, hour: int) -> bool:
    """Whether an agent ran above a rate for an hour, with pauses up to 15 min, and touched the last 24 h."""
    spans = sorted((first, last) for first, last, k, rate in runs if k == kind and rate > above)
    courses: list[list[int]] = []
    for first, last in spans:
        if courses and first - courses[-1][1] <= 15:
            courses[-1][1] = max(courses[-1][1], last)
        else:
            courses.append([first, last])
    since, until = max(hour - 23, 0) * 60, (hour + 1) * 60
    return any(last - first >= 60 and first < until and last > since for first, last in courses)


def circulating(rows: list[Row], runs: list[Run], hour: int) -> float:
    since, until = (hour - 23) * 60, (hour + 1) * 60
    charted = looked_up(rows, "mean_arterial_pressure", since, until)
    pressures = [value for _, value in charted]
    systolic, diastolic = (
        dict(looked_up(rows, "systolic_pressure", since, until)[::-1]),
        dict(looked_up(rows, "diastolic_pressure", since, until)[::-1]),
    )
    pressures += [
        (systolic[minute] + 2 * diastolic[minute]) / 3
        for minute in systolic.keys() & diastolic.keys() - {minute for minute, _ in charted}
    ]
    found = [int(value < 70) for value in pressures]
    found += [2] * (running(runs, "dobutamine", 0, hour) or running(runs, "dopamine", 0, hour))
    found += [3] * any(
        running(runs, kind, rate, hour)
        for kind, rate in [("dopamine", 5), ("epinephrine", 0), ("norepinephrine", 0)]
    )
    found += [4] * any(
        running(runs, kind, rate, hour)
        for kind, rate in [("dopamine", 15), ("epinephrine", 0.1), ("norepinephrine", 0.1)]
    )
    return worst(found)


def thinking(rows: list[Row], runs: list[Run], hour: int) -> float:
    by_minute: dict[int, dict[str, float]] = defaultdict(dict)
    for minute, name, value in sorted(rows, reverse=True):  # the lowest of one time is written last
        if name.startswith("gcs_") and minute < (hour + 1) * 60:
            by_minute[minute][name] = value
    last_total, last_minute, tube_since = nan, -(10**9), None
    found = []
    for minute in sorted(by_minute):
        seen = by_minute[minute]
        parts = [seen.get(name, nan) for name in ("gcs_eye", "gcs_verbal", "gcs_motor")]
        totals = [t for t in (sum(parts), seen.get("gcs_total", nan)) if not isnan(t)]
        if not totals:
            continue
        tube = any(a <= minute <= b for a, b, kind, _ in runs if kind == "invasive_ventilation")
        mute = seen.get("gcs_verbal") == 0 or (
            tube and not seen.get("gcs_verbal", nan) >= 2 and min(totals) < 12
        )
        if not mute:
            last_total, last_minute, tube_since = min(totals), minute, None
            value = last_total
        else:
            tube_since = minute if tube_since is None else tube_since
            value = last_total if tube_since - last_minute <= 1440 else nan
        if not isnan(value) and minute >= (hour - 23) * 60:
            found.append(graded(value, [(15, 1), (13, 2), (10, 3), (6, 4)], rising=False))
    return worst(found)


def filtering(rows: list[Row], hour: int) -> float:
    since, until = (hour - 23) * 60, (hour + 1) * 60
    limits = [(1.2, 1), (2.0, 2), (3.5, 3), (5.0, 4)]
    found = [graded(value, limits, rising=True) for _, value in looked_up(rows, "creatinine", since, until)]
    entries = sorted(set(looked_up(rows, "urine_output", 0, until)))
    if entries and entries[-1][0] >= since and entries[-1][0] >= 1440:
        newest = entries[-1][0]
        day = [(minute, volume) for minute, volume in entries if minute > newest - 1440]
        before = [minute for minute, _ in entries if minute <= newest - 1440] or [0]
        minutes = [before[-1]] + [minute for minute, _ in day]
        if max(b - a for a, b in pairwise(minutes)) <= 720:
            volume = sum(v for _, v in day)
            found.append(4 if volume < 200 else 3 if volume < 500 else 0)
    return worst(found)


def charted_by_hand(rows: list[Row], runs: list[Run], hours: int) -> list[list[float]]:
    table = []
    for hour in range(hours):
        since, until = (hour - 23) * 60, (hour + 1) * 60
        platelets = [v for _, v in looked_up(rows, "platelets", since, until)]
        bilirubin = [v for _, v in looked_up(rows, "bilirubin_total", since, until)]
        table.append(
            [
                breathing(rows, runs, hour),
                worst([graded(v, [(150, 1), (100, 2), (50, 3), (20, 4)], rising=False) for v in platelets]),
                worst([graded(v, [(1.2, 1), (2, 2), (6, 3), (12, 4)], rising=True) for v in bilirubin]),
                circulating(rows, runs, hour),
                thinking(rows, runs, hour),
                filtering(rows, hour),
            ]
        )
    return table


RANGES = {
    "pao2": (40, 120), "fio2": (0.21, 1), "total_peep": (0, 8), "oxygen_flow": (0, 6), "platelets": (5, 200),
    "bilirubin_total": (0, 15), "mean_arterial_pressure": (55, 95), "systolic_pressure": (80, 140),
    "diastolic_pressure": (40, 80), "creatinine": (0.5, 6), "gcs_eye": (1, 4), "gcs_verbal": (0, 5),
    "gcs_motor": (1, 6), "gcs_total": (3, 15), "urine_output": (0, 60),
}  # fmt: skip
AGENTS = {"norepinephrine": 0.2, "epinephrine": 0.2, "dopamine": 20, "dobutamine": 9}


def random_stay(seed: int) -> tuple[list[Row], list[Run]]:
    random = np.random.default_rng(seed)
    names = sorted(random.choice(sorted(RANGES), size=int(random.integers(3, len(RANGES))), replace=False))
    rows: list[Row] = []
    for name in names:
        # charted in half hours, so that what belongs together often falls on one time; some hardly at all
        times = random.integers(0, 110, size=int(random.choice([2, 10, 60]))) * 30
        scale = name.startswith("gcs_")
        values = np.interp(random.random(len(times)) ** (1 if scale else 2), (0, 1), RANGES[name])
        digits = 0 if scale or (random.random() < 0.3 and name != "fio2") else 1
        rows += [(int(t), str(name), round(float(v), digits)) for t, v in zip(times, values, strict=True)]
    runs: list[Run] = []
    for kind in (*AGENTS, "invasive_ventilation", "noninvasive_ventilation"):
        for _ in range(int(random.integers(0, 5))):
            first = int(random.integers(-10, 320)) * 10
            length = int(random.integers(0, 15)) * 10 * (1 if kind in AGENTS else 12)
            runs.append(
                (first, first + length, kind, float(round(random.uniform(0, AGENTS.get(kind, 1)), 2)))
            )
    return rows, runs


def as_stay(rows: list[Row], runs: list[Run], hours: int) -> Stay:
    def at(minute: int) -> datetime:
        return ADMITTED + timedelta(minutes=minute)

    time = [at(row[0]) for row in rows]
    return Stay(
        "s",
        "s",
        ADMITTED,
        observation_table(time, time, [row[1] for row in rows], [row[2] for row in rows]),
        interventions=intervention_table(
            [at(r[0]) for r in runs],
            [at(r[1]) for r in runs],
            [r[2] for r in runs],
            [r[3] for r in runs],
            [""] * len(runs),
        ),
        discharged_at=at(hours * 60),
    )


@pytest.mark.parametrize("seed", range(40))
def test_hourly_sofa_is_what_a_person_charts(seed: int) -> None:
    rows, runs = random_stay(seed)
    found = sofa.hourly(as_stay(rows, runs, 56))
    by_hand = np.array(charted_by_hand(rows, runs, 56))
    np.testing.assert_array_equal(found.components, by_hand)
    np.testing.assert_array_equal(found.total, np.nansum(by_hand, axis=1))


def test_the_random_stays_reach_every_number_of_points() -> None:
    seen: dict[int, set[float]] = defaultdict(set)
    for seed in range(40):
        components = sofa.hourly(as_stay(*random_stay(seed), 56)).components
        for organ in range(6):
            seen[organ] |= set(np.nan_to_num(components[:, organ], nan=-1).tolist())
    assert all(seen[organ] == {-1, 0, 1, 2, 3, 4} for organ in range(6))


# --- suspicion and onset ---------------------------------------------------------------------------------


def suspected_by_hand(antibiotics: list[float], cultures: list[float]) -> list[float]:
    found = set()
    for antibiotic in antibiotics:
        for culture in cultures:
            if 0 <= culture - antibiotic <= 24:
                found.add(antibiotic)
            if 0 <= antibiotic - culture <= 72:
                found.add(culture)
    return sorted(found)


@pytest.mark.parametrize("seed", range(30))
def test_suspicion_is_every_pair_in_time(seed: int) -> None:
    random = np.random.default_rng(seed)
    antibiotics = (random.integers(-60, 600, size=random.integers(0, 9)) / 2).tolist()
    cultures = (random.integers(-60, 600, size=random.integers(0, 9)) / 2).tolist()
    assert suspicion.hours(antibiotics, cultures) == suspected_by_hand(antibiotics, cultures)


def onset_by_hand(
    points: list[float], suspected: list[float], baseline: Baseline, which: Suspicions, told: OnsetAt
) -> int | None:
    found = []
    for moment in sorted(suspected)[: 1 if which == "first" else None]:
        inside = [h for h in range(len(points)) if moment - 48 <= h <= moment + 24]
        for hour in inside:
            compared = {
                "cumulative_minimum": [points[h] for h in inside if h <= hour],
                "window_start": [points[h] for h in inside if not isnan(points[h])][:1],
                "minimum_24h": [points[h] for h in range(max(hour - 23, 0), hour + 1)],
                "zero": [0.0],
            }[baseline]
            known = [value for value in compared if not isnan(value)]
            if not isnan(points[hour]) and known and points[hour] - min(known) >= 2:
                found.append(min(hour, floor(moment)) if told == "earlier" else hour)
                break
    return min(found, default=None)


@pytest.mark.parametrize("baseline", ["cumulative_minimum", "window_start", "minimum_24h", "zero"])
@pytest.mark.parametrize("seed", range(25))
def test_onset_is_the_first_rise_by_hand(baseline: Baseline, seed: int) -> None:
    random = np.random.default_rng(seed)
    steps = random.choice([-1, 0, 0, 0, 0, 0, 1], size=int(random.integers(0, 160)))
    points = np.clip(2 + np.cumsum(steps), 0, 24).astype(float)
    points[random.random(len(points)) < 0.2] = nan
    suspected = (random.integers(-160, 500, size=random.integers(0, 4)) / 2).tolist()
    for which in ("any", "first"):
        for told in ("sofa", "earlier"):
            found = sepsis3.onset(points, suspected, baseline, suspicions=which, onset_at=told)
            assert found.hour == onset_by_hand(points.tolist(), suspected, baseline, which, told)
