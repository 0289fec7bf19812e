"""The simulator: what its stays look like, and that everything in them says it is synthetic."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import numpy as np
import pandas as pd
import pytest

from models.clinical.errors import InvalidInput
from models.clinical.ledger import ReportStatus
from models.clinical.quarantine import Reason
from models.mgp.standardise import VARIABLES
from pipelines.bedside import BedsideStay
from pipelines.simulate.charting import PANELS
from pipelines.simulate.checked import SimulatedSource, checked, hourly_label
from pipelines.simulate.course import CourseKind
from pipelines.simulate.mix_ups import MIXED_UP, WITHDRAWAL
from pipelines.simulate.physiology import DECIMALS
from pipelines.simulate.stays import EPOCH, Seed, Wish, simulate, simulate_stay
from pipelines.simulate.ward import SCRIPT, ward

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def stays() -> list[BedsideStay]:
    return list(simulate(11, 40))


@pytest.fixture(scope="module")
def septic() -> list[BedsideStay]:
    return course(CourseKind.SEPTIC, onset_hour=18.0)


@pytest.fixture(scope="module")
def stable() -> list[BedsideStay]:
    return course(CourseKind.STABLE)


def course(kind: CourseKind, onset_hour: float | None = None) -> list[BedsideStay]:
    wish = Wish(kind, onset_hour, 36.0)
    return [simulate_stay(f"sim-{i}", Seed(5, (9, i)), EPOCH, wish) for i in range(12)]


def values(stay: BedsideStay, name: str, first: float, last: float) -> list[float]:
    """A variable between two hours of the stay, without artefacts."""
    begin, end = stay.admitted_at + first * HOUR, stay.admitted_at + last * HOUR
    return [
        reading.value
        for reading in stay.readings
        if reading.variable == name and not reading.artefact and begin <= reading.time < end
        if isinstance(reading.value, float)
    ]


def change(stays: list[BedsideStay], name: str, before: float, after: float, end: float) -> float:
    """The median over stays of how a variable's mean changes from [0, before) to [after, end) hours."""
    pairs = [(values(stay, name, 0, before), values(stay, name, after, end)) for stay in stays]
    return float(np.median([np.mean(later) - np.mean(early) for early, later in pairs if early and later]))


def test_everything_says_that_it_is_synthetic(stays: list[BedsideStay]) -> None:
    for raw in (*stays[:3], next(ward(1, 2, START))):
        stay = checked(raw).stay
        assert raw.synthetic
        assert stay.synthetic
        assert stay.source == "simulator"
        assert stay.stay_id.startswith("sim-")


def test_every_variable_the_network_reads_is_simulated_and_rounded(stays: list[BedsideStay]) -> None:
    assert {name for panel in PANELS for name, _ in panel.variables} == set(VARIABLES) == set(DECIMALS)
    for reading in stays[0].readings:
        if isinstance(reading.value, float):
            assert reading.value == round(reading.value, DECIMALS[reading.variable])


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("heart_rate", 12),
        ("mean_arterial_pressure", -8),
        ("respiratory_rate", 4),
        ("oxygen_saturation", -1.5),
        ("temperature", 0.4),
        ("lactate", 0.8),
        ("wbc", 2),
        ("creatinine", 0.2),
        ("platelets", -30),
    ],
)
def test_sepsis_moves_the_variables_together(septic: list[BedsideStay], name: str, least: float) -> None:
    assert change(septic, name, 10, 18, 30) / least > 1


def test_recovery_is_the_way_back_and_the_stable_stay_as_they_are(stable: list[BedsideStay]) -> None:
    recovering = course(CourseKind.RECOVERING)
    assert change(recovering, "heart_rate", 4, 24, 36) < -7
    assert abs(change(stable, "heart_rate", 12, 24, 36)) < 6
    assert all(stay.onset is None for stay in (*recovering, *stable))


def test_illness_brings_more_measurements_and_tests_that_nobody_had_ordered(
    septic: list[BedsideStay], stable: list[BedsideStay]
) -> None:
    def count(stays: list[BedsideStay], name: str) -> int:
        return sum(
            reading.variable == name and reading.time >= stay.admitted_at + 16 * HOUR
            for stay in stays
            for reading in stay.readings
        )

    assert count(septic, "temperature") > 1.3 * count(stable, "temperature")
    assert count(septic, "lactate") > 2 * count(stable, "lactate")


def test_vitals_come_irregularly_and_laboratories_report_late(stays: list[BedsideStay]) -> None:
    rounds = [sorted({r.time for r in stay.readings if r.variable == "heart_rate"}) for stay in stays]
    gaps = [later - earlier for times in rounds for earlier, later in pairwise(times)]
    minutes = np.array([gap / timedelta(minutes=1) for gap in gaps])
    assert minutes.min() >= 5
    assert minutes.std() > 5
    assert np.mean(minutes > 75) < 0.02  # monitors that fell silent
    lag = [r.known_at - r.time for stay in stays for r in stay.readings if r.variable == "creatinine"]
    assert timedelta(minutes=45) < sorted(lag)[len(lag) // 2] < timedelta(minutes=75)
    share_without_lactate = np.mean([all(r.variable != "lactate" for r in s.readings) for s in stays])
    assert 0.2 < share_without_lactate < 0.8


def test_the_quarantine_catches_every_spike_and_text_and_nothing_else(stays: list[BedsideStay]) -> None:
    caught = {
        "spike": Reason.IMPLAUSIBLE,
        "spoiled sample": Reason.NOT_A_NUMBER,
        WITHDRAWAL: Reason.WITHDRAWN,
    }
    seen: Counter[str] = Counter()
    for raw in stays:
        entries = {entry.row: entry.reason for entry in checked(raw).quarantine}
        expected = {
            row: caught[reading.artefact]
            for row, reading in enumerate(raw.readings)
            if reading.artefact in caught
        }
        assert entries == expected
        seen.update(reading.artefact for reading in raw.readings)
    assert all(seen[artefact] for artefact in (*caught, "probe off", "censored", MIXED_UP))


def test_a_mixed_up_result_stands_until_it_is_corrected_or_withdrawn(stays: list[BedsideStay]) -> None:
    kinds: Counter[str] = Counter()
    for raw in stays:
        table = checked(raw).stay.observations
        for wrong in (one for one in raw.readings if one.artefact == MIXED_UP):
            (last,) = [
                one
                for one in raw.readings
                if one.identifier == wrong.identifier and one.status != wrong.status
            ]
            rows = table[(table["variable"] == wrong.variable) & (table["time"] == wrong.time)]
            first = rows[rows["value"] == wrong.value].iloc[0]
            assert (first["known_at"], first["known_until"]) == (wrong.known_at, last.known_at)
            assert len(rows) == (1 if last.status.withdraws else 2)
            kinds[last.status] += 1
    assert set(kinds) == {ReportStatus.CORRECTED, ReportStatus.ENTERED_IN_ERROR}
    assert 0.2 < kinds.total() / len(stays) < 3


def test_the_label_is_one_from_six_hours_before_onset() -> None:
    raw = simulate_stay("sim-x", Seed(5, (9, 0)), EPOCH, Wish(CourseKind.SEPTIC, 14.5, 36.0))
    hour, label = hourly_label(raw)
    assert hour.tolist() == list(range(1, 37))
    assert label.tolist() == [int(h >= 8.5) for h in hour.tolist()]
    assert not hourly_label(replace(raw, onset=None))[1].any()


def test_marginals_are_near_those_of_set_a(stays: list[BedsideStay]) -> None:
    tables = [checked(raw).stay.observations for raw in stays]
    medians = pd.concat([table.groupby("variable")["value"].median() for table in tables])
    medians = medians.groupby(level=0).median()
    set_a = {"heart_rate": 84, "mean_arterial_pressure": 77, "respiratory_rate": 18, "temperature": 37.05}
    set_a |= {"creatinine": 0.9, "potassium": 4.1, "wbc": 10.7, "platelets": 184, "ph": 7.38}
    for name, value in set_a.items():
        assert medians[name] == pytest.approx(value, rel=0.3)


def test_a_simulated_source_is_a_source_like_any_other() -> None:
    source = SimulatedSource(3, 4)
    read = list(source.stays())
    assert [ingested.stay.stay_id for ingested in read] == [f"sim-3-{i:06d}" for i in range(4)]
    assert source.stay_count == len(read)
    assert "synthetic" in source.name
    assert all(ingested.labelled is not None and not source.failures for ingested in read)


def test_a_ward_starts_full_and_follows_its_script() -> None:
    first = list(islice(ward(1, 24, START), 24))
    assert {stay.bed for stay in first} == {f"{bed:02d}" for bed in range(1, 25)}
    assert {stay.care_unit for stay in first} == {"4A", "4B"}
    assert all(stay.admitted_at < START < stay.ends_at for stay in first)
    onsets = sorted((stay.onset - START) / HOUR for stay in first if stay.onset)
    assert {hours.onset_in_hours for hours in SCRIPT if hours.onset_in_hours} <= set(onsets)
    silent = [stay for stay in first if stay.readings[-1].known_at < START + HOUR]
    assert len(silent) == 1
    assert silent[0].ends_at > START + 48 * HOUR


def test_a_bed_holds_one_stay_at_a_time_and_admissions_come_in_order() -> None:
    stays = list(islice(ward(2, 3, START), 20))
    assert [stay.admitted_at for stay in stays] == sorted(stay.admitted_at for stay in stays)
    assert len({stay.stay_id for stay in stays}) == len(stays)
    for bed in {stay.bed for stay in stays}:
        here = [stay for stay in stays if stay.bed == bed]
        assert all(left.ends_at < came.admitted_at for left, came in pairwise(here))


@pytest.mark.parametrize(("seed", "number"), [(-1, 3), (0, -1)])
def test_a_negative_seed_or_number_is_refused(seed: int, number: int) -> None:
    with pytest.raises(InvalidInput, match="must be 0 or more"):
        list(simulate(seed, number))


@pytest.mark.parametrize(
    ("seed", "beds", "start"), [(-1, 3, START), (0, 0, START), (0, 1, datetime(2026, 1, 1))]
)
def test_an_impossible_ward_is_refused(seed: int, beds: int, start: datetime) -> None:
    with pytest.raises(InvalidInput, match="needs seed >= 0, beds >= 1 and a time zone"):
        ward(seed, beds, start)
