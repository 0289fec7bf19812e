"""Labels of a whole source: the table, its counts, and how much they depend on the choices made."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.clinical.interventions import intervention_table
from models.clinical.stay import Stay, observation_table
from pipelines.ingest.source import IngestedStay
from pipelines.label.presets import DEFAULT
from pipelines.label.sensitivity import plot_sensitivity, sensitivity, sensitivity_text, variations
from pipelines.label.sepsis3 import LABEL_COLUMNS
from pipelines.label.study import LabelledStudy

ADMITTED = datetime(2026, 1, 1, tzinfo=UTC)


def at(hour: float) -> datetime:
    return ADMITTED + timedelta(hours=hour)


def stay(
    name: str, platelets: dict[float, float], antibiotic: list[float], culture: list[float]
) -> IngestedStay:
    """A stay of 60 hours in which only platelets were counted."""
    start = [at(hour) for hour in (*antibiotic, *culture)]
    kind = ["antibiotic"] * len(antibiotic) + ["culture"] * len(culture)
    times = [at(hour) for hour in platelets]
    one = Stay(
        name,
        f"subject-{name}",
        ADMITTED,
        observation_table(times, times, ["platelets"] * len(times), list(platelets.values())),
        age_years=70.0,
        discharged_at=at(60),
        interventions=intervention_table(start, start, kind, [np.nan] * len(start), ["x"] * len(start)),
    )
    return IngestedStay(one, len(times) + len(start))


def label_source(stays: list[IngestedStay]) -> LabelledStudy:
    """The study of these stays."""
    study = LabelledStudy()
    assert list(study.labelling(stays)) == stays
    return study


FALL = {1.0: 300.0, 20.0: 90.0}  # no points, then two


@pytest.fixture
def stays() -> list[IngestedStay]:
    return [
        stay("septic", FALL, [20], [19]),
        stay("never suspected", FALL, [], []),
        stay("no culture", FALL, [20, 30], []),
        stay("first count low", {20.0: 90.0}, [20], [19]),
    ]


def test_each_stay_is_a_row_with_its_audit_trail(stays: list[IngestedStay], tmp_path: Path) -> None:
    study = label_source(stays)
    study.write(tmp_path / "labels.parquet")
    table = pd.read_parquet(tmp_path / "labels.parquet")
    assert tuple(table.columns) == LABEL_COLUMNS
    septic = table.set_index("stay").loc["septic"]
    assert (septic["suspicion_time"], septic["sofa_time"], septic["onset"]) == (at(19), at(20), at(20))
    assert (septic["onset_hour"], septic["baseline"], septic["delta"]) == (20, 0, 2)
    assert json.loads(str(septic["components"])) == {"coagulation": 2}
    assert "renal" in json.loads(str(septic["missing"]))
    assert study.as_json() | {"options": None} == {
        "stays": 4,
        "suspected": 2,
        "sepsis": 2,
        "onset_hour": {"median": 20.0, "quartiles": [20.0, 20.0]},
        "options": None,
    }
    assert study.sentence() == (
        "4 stays: 2 with suspicion of infection, 2 with sepsis (50.0 %), onset at hour 20 (median)"
    )


def test_without_sepsis_there_is_no_onset_and_the_counts_say_so(tmp_path: Path) -> None:
    study = label_source([stay("well", {1.0: 300.0}, [], [])])
    study.write(tmp_path / "labels.parquet")
    assert pd.read_parquet(tmp_path / "labels.parquet")["onset"].isna().all()
    assert study.as_json()["onset_hour"] == {"median": None, "quartiles": [None, None]}


def test_candidates_carry_the_onset(stays: list[IngestedStay]) -> None:
    candidates = {one.stay: one for one in label_source(stays).candidates}
    assert candidates["septic"].onset_hour == 20
    assert candidates["never suspected"].onset_hour is None
    assert candidates["septic"].length_hours == 60


def test_every_choice_is_varied_once_and_the_reference_stands_first() -> None:
    varied = variations(DEFAULT)
    assert varied[0] == DEFAULT
    assert len(set(varied)) == len(varied) == 4 * 4 * 2
    odd = replace(DEFAULT, before_hours=24.0)
    assert all(options.before_hours == 24.0 for options in variations(odd))


def test_the_table_tells_gained_and_lost_cases(stays: list[IngestedStay]) -> None:
    rows = sensitivity(one.stay for one in stays).to_dict("records")
    by_choice = {(row["suspicion"], row["baseline"], row["missing"]): row for row in rows}
    assert (rows[0]["cases"], rows[0]["gained"], rows[0]["lost"]) == (2, 0, 0)
    # two antibiotics within a day suffice without cultures; the others had one antibiotic only
    alone = by_choice["antibiotics", "cumulative_minimum", "zero"]
    assert (alone["cases"], alone["gained"], alone["lost"]) == (1, 1, 2)
    # measured for the first time with two points: a rise from an assumed 0, or none known
    unknown = by_choice["and", "cumulative_minimum", "unknown"]
    assert (unknown["cases"], unknown["lost"], unknown["shift_median_hours"]) == (1, 1, 0)


def test_the_table_is_told_and_drawn(stays: list[IngestedStay], tmp_path: Path) -> None:
    table = sensitivity(one.stay for one in stays)
    assert len(sensitivity_text(table).splitlines()) == len(table) + 1
    assert plot_sensitivity(table, "Label", tmp_path / "label.png").read_bytes()[:4] == b"\x89PNG"


def test_no_stays_give_a_table_without_cases() -> None:
    table = sensitivity([])
    assert (table["stays"] == 0).all()
    assert table["prevalence"].isna().all()
    assert "nan" not in sensitivity_text(table)
