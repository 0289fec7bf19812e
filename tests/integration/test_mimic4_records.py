"""The MIMIC-IV demo in both its forms: every row accounted for, and the two agree about every stay."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.clinical.quarantine import Reason
from models.clinical.stay import Stay
from models.clinical.variables import CATALOGUE
from pipelines.ingest import meds, mimic4
from pipelines.ingest.relational.engine import Limits, RelationalSource
from pipelines.ingest.source import IngestedStay, IngestSummary

ROWS_OF_TABLES = 257_474 + 107_727 + 9_362 + 20_404 + 1_468 + 2_899 + 35_835 + 18_087
EVENTS = 916_166

VITALS = (
    "heart_rate",
    "systolic_pressure",
    "diastolic_pressure",
    "mean_arterial_pressure",
    "respiratory_rate",
    "oxygen_saturation",
    "temperature",
    "gcs_eye",
    "gcs_verbal",
    "gcs_motor",
    "fio2",
    "tidal_volume_observed",
    "peak_inspiratory_pressure",
    "total_peep",
)


@dataclass(frozen=True)
class Pass:
    """What one pass over a source gave."""

    stays: list[IngestedStay]
    summary: IngestSummary

    @property
    def stay(self) -> dict[tuple[str, pd.Timestamp], Stay]:
        """The stays by what names them in both forms: who, and when admitted."""
        return {(one.stay.subject_id, pd.Timestamp(one.stay.admitted_at)): one.stay for one in self.stays}


def _pass(source: RelationalSource) -> Pass:
    summary = IngestSummary()
    return Pass(list(summary.counting_all(source)), summary)


@pytest.fixture(scope="module")
def tables(data_folder: Path) -> Pass:
    return _pass(mimic4.open_source(data_folder / "icu" / "mimic4_demo", Limits(threads=1)))


@pytest.fixture(scope="module")
def events(data_folder: Path) -> Pass:
    return _pass(meds.open_source(data_folder / "icu" / "mimic4_demo_meds", Limits(threads=1)))


def _observations(stays: dict[tuple[str, pd.Timestamp], Stay], variable: str) -> set[tuple[object, ...]]:
    """(stay, time, value) of a variable, within the stays; float32 keeps seven figures."""
    found: set[tuple[object, ...]] = set()
    for name, stay in stays.items():
        table = stay.observations
        chosen = table[
            (table["variable"] == variable)
            & (table["time"] < pd.Timestamp(stay.discharged_at or stay.last_known_at))
        ]
        found.update(
            (name, time, float(np.float32(value)))
            for time, value in zip(chosen["time"], chosen["value"], strict=True)
        )
    return found


@pytest.mark.data
def test_every_row_is_kept_or_set_aside_with_a_reason(tables: Pass, events: Pass) -> None:
    for done, rows in ((tables, ROWS_OF_TABLES), (events, EVENTS)):
        assert done.summary.cells_read == rows
        assert done.summary.cells_kept + done.summary.quarantined.total() == rows
        assert Reason.MALFORMED not in done.summary.by_reason()


@pytest.mark.data
def test_both_forms_tell_of_the_same_140_stays(tables: Pass, events: Pass) -> None:
    assert len(tables.stays) == 140
    assert set(tables.stay) == set(events.stay)
    for name, stay in tables.stay.items():
        other = events.stay[name]
        assert (stay.sex, stay.care_unit, stay.discharged_at) == (
            other.sex,
            other.care_unit,
            other.discharged_at,
        )
        assert stay.hospital_admitted_at == other.hospital_admitted_at
        assert abs((stay.age_years or 0) - (other.age_years or 0)) <= 1
    coded = [sorted(len(one.diagnoses) for one in done.stays) for done in (tables, events)]
    assert coded[0] == coded[1]


@pytest.mark.data
@pytest.mark.parametrize("variable", VITALS)
def test_what_was_charted_is_the_same_in_both_forms(tables: Pass, events: Pass, variable: str) -> None:
    charted, told = _observations(tables.stay, variable), _observations(events.stay, variable)
    assert charted <= told  # the tables were rebuilt of the events, and lost some at the edges of stays
    assert len(charted) >= 0.998 * len(told)


@pytest.mark.data
def test_infusions_and_ventilation_are_the_same_in_both_forms(tables: Pass, events: Pass) -> None:
    for kind, least in (("norepinephrine", 0.995), ("vasopressin", 1.0), ("invasive_ventilation", 1.0)):
        sets = []
        for done in (tables, events):
            rows: set[tuple[object, ...]] = set()
            for name, stay in done.stay.items():
                table = stay.interventions[stay.interventions["kind"] == kind].fillna({"rate": -1.0})
                rows.update(
                    (name, start, end, round(rate, 4))
                    for start, end, rate in zip(table["start"], table["end"], table["rate"], strict=True)
                )
            sets.append(rows)
        assert len(sets[0] & sets[1]) >= least * len(sets[0] | sets[1]) > 0


@pytest.mark.data
def test_results_become_known_about_an_hour_after_they_were_drawn(tables: Pass) -> None:
    table = pd.concat(stay.observations for stay in tables.stay.values())
    hours = (table["known_at"] - table["time"]).dt.total_seconds() / 3600
    laboratory = table["variable"].isin([row.name for row in CATALOGUE.values() if row.lag > pd.Timedelta(0)])
    assert 0.8 < hours[laboratory & (hours > 0.2)].median() < 1.3
    assert hours.min() == 0


@pytest.mark.data
def test_values_lie_where_a_clinician_expects_them(tables: Pass) -> None:
    table = pd.concat(stay.observations for stay in tables.stay.values())
    median = table.groupby("variable")["value"].median()
    for variable, low, high in (
        ("heart_rate", 80, 95), ("mean_arterial_pressure", 70, 80), ("temperature", 36.5, 37.2),
        ("fio2", 0.4, 0.5), ("pao2", 95, 120), ("ph", 7.35, 7.42), ("creatinine", 1, 1.5),
        ("platelets", 130, 190), ("urine_output", 60, 110), ("body_weight", 75, 95),
        ("body_height", 160, 176), ("gcs_motor", 6, 6), ("tidal_volume_observed", 420, 500),
    ):  # fmt: skip
        assert low <= median[variable] <= high, variable
    assert (table["censored"] == "<").sum() > 40  # troponin below its limit, read from the comments


@pytest.mark.data
def test_what_labels_need_is_there(tables: Pass) -> None:
    done = pd.concat(
        stay.interventions.assign(stay=stay.stay_id)
        for stay in tables.stay.values()
        if len(stay.interventions)
    )
    stays = done.groupby("kind")["stay"].nunique()
    assert stays["antibiotic"] > 90
    assert stays["culture"] > 90
    assert stays["norepinephrine"] == 33
    assert stays["invasive_ventilation"] == 60
    rated = done[done["kind"] == "norepinephrine"]["rate"]
    assert rated.notna().all()
    assert 0.05 < rated.median() < 0.3  # ug/kg/min
