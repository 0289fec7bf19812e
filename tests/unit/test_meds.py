"""MEDS: events of MIMIC-IV as Parquet, in the older and the newer schema, one file or shards."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Reason
from pipelines.ingest.meds import open_source
from pipelines.ingest.source import IngestedStay, IngestSummary

Event = tuple[int, str | None, str, float | None] | tuple[int, str | None, str, float | None, str]

DAY = "2150-01-02"
PERSON: list[Event] = [
    (1, None, "GENDER//M", None),
    (1, "2090-01-01 00:00", "MEDS_BIRTH", None),
    (1, f"{DAY} 02:00", "ED_REGISTRATION", None),
    (1, f"{DAY} 06:00", "HOSPITAL_ADMISSION//EW EMER.//EMERGENCY ROOM", None),
    (1, f"{DAY} 10:00", "ICU_ADMISSION//Medical Intensive Care Unit (MICU)", None),
    (1, "2150-01-04 10:00", "ICU_DISCHARGE//Medical Intensive Care Unit (MICU)", None),
    (1, "2150-01-06 12:00", "HOSPITAL_DISCHARGE//HOME", None),
    (1, "2150-01-06 12:00", "DIAGNOSIS//ICD//10//A419", None),
]


def write(file: Path, events: Sequence[Event], value: str = "numeric_value", *, text: bool = False) -> None:
    """Events as a shard: `value` names its column of numbers, `text` gives it one of texts."""
    columns = {
        "subject_id": pa.array([event[0] for event in events], pa.int64()),
        "time": pa.array(
            [datetime.fromisoformat(event[1]) if event[1] else None for event in events], pa.timestamp("us")
        ),
        "code": pa.array([event[2] for event in events], pa.string()),
        value: pa.array([event[3] for event in events], pa.float32()),
        "table": pa.array(["condition"] * len(events), pa.string()),
    }
    if text:
        texts = [event[4] if len(event) == 5 else None for event in events]
        columns["text_value"] = pa.array(texts, pa.string())
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), file)


def ingested(path: Path, events: Sequence[Event], **schema: bool) -> tuple[list[IngestedStay], IngestSummary]:
    """The stays of these events; every event is one row that was kept or set aside."""
    write(path / "events.parquet", events, **schema)  # type: ignore[arg-type]
    summary = IngestSummary()
    stays = list(summary.counting_all(open_source(path)))
    assert summary.cells_read == len(events)
    assert summary.cells_kept + summary.quarantined.total() == len(events)
    return stays, summary


def values(stay: IngestedStay) -> list[tuple[str, float]]:
    table = stay.stay.observations
    return list(zip(table["variable"], table["value"], strict=True))


def test_a_stay_is_an_admission_to_intensive_care_and_its_discharge(tmp_path: Path) -> None:
    again: list[Event] = [
        (1, "2150-01-05 00:00", "ICU_ADMISSION//Surgical Intensive Care Unit (SICU)", None),
        (1, "2152-03-01 00:00", "ICU_ADMISSION//Medical Intensive Care Unit (MICU)", None),
    ]
    stays, summary = ingested(tmp_path, [*PERSON, *again])
    assert [stay.stay.stay_id for stay in stays] == ["1-1", "1-2", "1-3"]
    first, second, third = (stay.stay for stay in stays)
    assert (first.sex, first.care_unit) == ("male", "Medical Intensive Care Unit (MICU)")
    assert first.age_years == pytest.approx(60.0, abs=0.01)
    assert str(first.hospital_admitted_at) == f"{DAY} 02:00:00+00:00"
    assert str(first.discharged_at) == "2150-01-04 10:00:00+00:00"
    assert second.hospital_admitted_at == first.hospital_admitted_at
    assert (second.discharged_at, third.hospital_admitted_at) == (None, None)
    assert [stay.diagnoses for stay in stays] == [("A419",), ("A419",), ()]
    assert summary.by_reason() == {Reason.UNKNOWN_VARIABLE: 10}


def test_a_measurement_names_its_unit_and_is_known_after_the_default_lag(tmp_path: Path) -> None:
    events: list[Event] = [
        *PERSON,
        (1, f"{DAY} 11:00", "LAB//223761//°F", 98.6),
        (1, f"{DAY} 11:00", "LAB//50912//mg/dL", 1.4),
        (1, f"{DAY} 11:00", "LAB//51237//UNK", None),
        (1, f"{DAY} 09:59", "LAB//220045//bpm", 88),
        (1, f"{DAY} 09:59", "LAB//226730//cm", 171),
        (1, f"{DAY} 12:00", "SUBJECT_FLUID_OUTPUT//226559//ml", 120),
    ]
    (stay,), summary = ingested(tmp_path, events)
    assert values(stay) == [
        ("body_height", 171.0), ("temperature", 37.0), ("urine_output", 120.0), ("creatinine", 1.4)
    ]  # fmt: skip
    last = stay.stay.observations.iloc[-1]
    assert str(last["known_at"] - last["time"]) == "0 days 01:18:00"
    assert dict(stay.lag_assumed)["creatinine"] == 1
    assert summary.by_reason()[Reason.NO_VALUE] == 1
    assert summary.quarantined[Reason.OUTSIDE_STAY, "heart_rate"] == 1


def test_text_tells_an_arterial_gas_and_a_tube_and_without_it_neither_is_guessed(tmp_path: Path) -> None:
    events: list[Event] = [
        *PERSON,
        (1, f"{DAY} 11:00", "LAB//52033//UNK", None, "ART."),
        (1, f"{DAY} 11:00", "LAB//50821//mm Hg", 91),
        (1, f"{DAY} 12:00", "LAB//223900//UNK", 1, "No Response-ETT"),
        (1, f"{DAY} 13:00", "LAB//51003//ng/mL", None, "<0.01"),
        (1, f"{DAY} 14:00", "LAB//226732//UNK", None, "High flow nasal cannula"),
    ]
    (told,), _ = ingested(tmp_path / "told", events, text=True)
    assert values(told) == [("pao2", 91.0), ("gcs_verbal", 0.0), ("troponin_t", 0.01)]
    assert list(told.stay.observations["censored"]) == ["", "", "<"]
    assert list(told.stay.interventions["kind"]) == ["noninvasive_ventilation"]
    (untold,), summary = ingested(tmp_path / "untold", events)
    assert values(untold) == [("gcs_verbal", 1.0)]
    assert summary.quarantined[Reason.UNKNOWN_VARIABLE, "events LAB//50821"] == 1


def test_infusions_and_procedures_last_till_the_next_end_of_their_item(tmp_path: Path) -> None:
    events: list[Event] = [
        *PERSON,
        (1, f"{DAY} 11:00", "INFUSION_START//221906", 0.1),
        (1, f"{DAY} 12:00", "INFUSION_END//221906", 3.0),
        (1, f"{DAY} 12:00", "INFUSION_START//221906", 0.2),
        (1, f"{DAY} 12:30", "INFUSION_END//222168", 9.0),
        (1, f"{DAY} 13:00", "INFUSION_END//221906", 3.0),
        (1, f"{DAY} 11:30", "PROCEDURE//START//225792", None),
        (1, f"{DAY} 20:00", "PROCEDURE//END//225792", None),
    ]
    (stay,), _ = ingested(tmp_path, events)
    table = stay.stay.interventions
    assert list(table["kind"]) == ["norepinephrine", "invasive_ventilation", "norepinephrine"]
    assert [str(end)[11:16] for end in table["end"]] == ["12:00", "20:00", "13:00"]
    np.testing.assert_array_equal(table["rate"].to_numpy(), [0.1, np.nan, 0.2])


def test_a_dose_counts_once_whether_infused_given_or_ordered(tmp_path: Path) -> None:
    events: list[Event] = [
        *PERSON,
        (1, f"{DAY} 07:00", "MEDICATION//START//CefTRIAXone", None),
        (1, "2150-01-05 07:00", "MEDICATION//STOP//CefTRIAXone", None),
        (1, f"{DAY} 12:00", "INFUSION_START//225798", None),
        (1, "2150-01-03 12:05", "MEDICATION//Vancomycin//Administered", None),
        (1, "2150-01-03 16:00", "MEDICATION//Vancomycin//Not Given", None),
        (1, f"{DAY} 12:09", "MEDICATION//START//Vancomycin", None),
    ]
    (stay,), summary = ingested(tmp_path, events)
    table = stay.stay.interventions
    assert [
        (str(start)[:16], agent) for start, agent in zip(table["start"], table["agent"], strict=True)
    ] == [
        (f"{DAY} 07:00", "ceftriaxone"),
        (f"{DAY} 12:00", "vancomycin"),
        ("2150-01-03 12:05", "vancomycin"),
    ]
    assert summary.by_reason()[Reason.WITHDRAWN] == 1


def test_shards_lie_below_data_and_metadata_holds_no_events(tmp_path: Path) -> None:
    write(tmp_path / "data" / "train" / "0.parquet", PERSON, value="value")
    write(
        tmp_path / "data" / "held_out" / "0.parquet",
        [(1, f"{DAY} 11:00", "LAB//220045//bpm", 88)],
        value="value",
    )
    pq.write_table(pa.table({"code": ["LAB//220045//bpm"]}), _made(tmp_path / "metadata") / "codes.parquet")
    (stay,) = open_source(tmp_path).stays()
    assert values(stay) == [("heart_rate", 88.0)]


def test_a_folder_without_events_and_a_file_without_codes_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="no Parquet file of events"):
        open_source(tmp_path)
    pq.write_table(pa.table({"subject_id": [1]}), tmp_path / "other.parquet")
    with pytest.raises(UnreadableSource, match=r"code|time|value"):
        list(open_source(tmp_path / "other.parquet").stays())


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
