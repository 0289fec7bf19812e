"""The CinC 2012 source: every row is a fact of the stay, kept, quarantined or counted."""

import zipfile
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Reason
from models.clinical.variables import variable
from pipelines.ingest.cinc2012 import ADMITTED_AT, open_source, read_record
from pipelines.ingest.source import IngestedStay, IngestSummary

FACTS = ("00:00,RecordID,7", "00:00,Age,54", "00:00,Gender,0", "00:00,Height,-1", "00:00,ICUType,4")


def record(*rows: str, facts: tuple[str, ...] = FACTS) -> bytes:
    return "\n".join(("Time,Parameter,Value", *facts, *rows, "")).encode()


def _read(*rows: str, facts: tuple[str, ...] = FACTS) -> IngestedStay:
    return read_record("set-a/7.txt", record(*rows, facts=facts))[0]


def test_a_record_becomes_a_stay() -> None:
    stay = _read("00:07,HR,73", "47:30,Temp,35.1", "48:00,Urine,900").stay
    assert (stay.stay_id, stay.subject_id, stay.admitted_at) == ("7", "7", ADMITTED_AT)
    assert (stay.age_years, stay.sex, stay.care_unit) == (54.0, "female", "SICU")
    table = stay.observations
    found = zip(stay.hours(table["time"]), table["variable"], table["value"], strict=True)
    assert list(found) == [(7 / 60, "heart_rate", 73), (47.5, "temperature", 35.1), (48, "urine_output", 900)]


def test_when_a_result_became_known_is_the_lag_of_its_variable() -> None:
    ingested = _read("01:00,HR,73", "01:00,Lactate,2.1")
    table = ingested.stay.observations.set_index("variable")
    for name in ("heart_rate", "lactate"):
        assert table["known_at"][name] - table["time"][name] == variable(name).lag
    assert ingested.lag_assumed == {"heart_rate": 1, "lactate": 1}


def test_minus_one_says_that_it_is_not_known() -> None:
    ingested = _read("00:00,Weight,-1", "01:00,Weight,80", facts=(*FACTS[:2], "00:00,Gender,-1", *FACTS[3:]))
    assert ingested.stay.sex is None
    assert ingested.facts_quarantined == ()
    assert [(entry.variable, entry.reason, entry.value) for entry in ingested.quarantine] == [
        ("body_height", Reason.NO_VALUE, "-1"),
        ("body_weight", Reason.NO_VALUE, "-1"),
    ]


def test_bad_rows_are_quarantined_with_their_place() -> None:
    ingested = _read(
        "00:07,HR,900", "nonsense", "7:99,HR,70", "00:07,Temp,high", "00:07,HR,73,1", "00:08,K,4.1"
    )
    assert ingested.stay.observations["value"].tolist() == [4.1]
    found = {(entry.row, entry.reason) for entry in ingested.quarantine}
    assert found == {
        (4, Reason.NO_VALUE),
        (6, Reason.IMPLAUSIBLE),
        (7, Reason.MALFORMED),
        (8, Reason.MALFORMED),
        (9, Reason.NOT_A_NUMBER),
        (10, Reason.MALFORMED),
    }
    assert all(entry.stay_id == "7" for entry in ingested.quarantine)
    assert ingested.cells_read == 7


def test_cuff_and_arterial_line_both_count_and_only_a_repetition_is_a_duplicate() -> None:
    ingested = _read("01:00,NISysABP,120", "01:00,SysABP,126", "01:00,NIMAP,80", "01:00,MAP,80")
    assert ingested.stay.observations["value"].tolist() == [80.0, 120.0, 126.0]
    duplicates = [entry for entry in ingested.quarantine if entry.reason is Reason.DUPLICATE]
    assert [(entry.row, entry.variable) for entry in duplicates] == [(9, "mean_arterial_pressure")]


def test_ventilation_lasts_till_it_is_charted_next() -> None:
    ingested = _read(
        "01:00,MechVent,1", "04:00,MechVent,1", "13:00,MechVent,1", "13:00,MechVent,1", "14:00,MechVent,0"
    )
    table = ingested.stay.interventions
    start, end = ((table[name] - pd.Timestamp(ADMITTED_AT)) / timedelta(hours=1) for name in ("start", "end"))
    assert list(zip(start, end, strict=True)) == [(1, 4), (4, 4), (13, 13)]
    assert set(table["kind"]) == {"invasive_ventilation"}
    reasons = [entry.reason for entry in ingested.quarantine if entry.variable == "invasive_ventilation"]
    assert sorted(reasons) == [Reason.DUPLICATE, Reason.NO_VALUE]


def test_what_is_not_mapped_is_counted_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "7.txt").write_bytes(record("01:00,Cholesterol,152", "02:00,Cholesterol,150", "02:00,HR,80"))
    source, summary = open_source(tmp_path), IngestSummary()
    (ingested,) = summary.counting_all(source)
    assert ingested.cells_read == 2
    assert [(one.code, one.count) for one in source.set_aside] == [("Cholesterol", 2)]
    assert (summary.cells_read, summary.cells_kept) == (4, 1)


def test_folder_and_zip_yield_the_good_and_report_the_rest(tmp_path: Path) -> None:
    (folder := tmp_path / "set").mkdir()
    for name, content in (("1.txt", record("01:00,HR,80")), ("2.txt", b""), ("3.txt", record())):
        (folder / name).write_bytes(content)
    (folder / "4.txt").write_bytes(b"Time,Parameter,Value\r\n")
    (folder / "Outcomes-a.txt").write_bytes(b"RecordID,SAPS-I\n1,6\n")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"set/{file.name}")
    for path in (folder, tmp_path / "set.zip"):
        source = open_source(path)
        assert source.stay_count == 4
        for _ in range(2):  # each pass starts over
            assert [ingested.stay.stay_id for ingested in source.stays()] == ["1", "3"]
            assert "2.txt: begins with ''" in str(source.failures[0])
            assert "4.txt: no rows under the header" in str(source.failures[1])


def test_a_folder_of_outcomes_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Outcomes-a.txt").write_bytes(b"RecordID,SAPS-I\n")
    with pytest.raises(UnreadableSource, match="holds outcomes but no record"):
        open_source(tmp_path)
