"""The CinC 2019 source: file, folder and zip give the same stays, and one bad file costs only itself."""

import zipfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Reason
from pipelines.ingest.cinc2019 import ADMITTED_AT, COLUMNS, FACTS, LABEL, open_source, read_psv
from pipelines.ingest.source import IngestedStay, IngestSummary

HEADER = (*COLUMNS, *FACTS, LABEL)
FACT_CELLS = {"Age": "71", "Gender": "0", "Unit1": "0", "Unit2": "1", "HospAdmTime": "-1.5", LABEL: "0"}


def psv(*rows: dict[str, str], header: tuple[str, ...] = HEADER) -> bytes:
    """A record with the given cells; the rest is NaN, ICULOS counts from 1."""
    lines = ["|".join(header)]
    for hour, row in enumerate(rows, start=1):
        cells = {"ICULOS": str(hour)} | FACT_CELLS | row
        lines.append("|".join(cells.get(column, "NaN") for column in header))
    return "\n".join(lines).encode() + b"\n"


GOOD = psv({"HR": "80", "Temp": "36.6"}, {}, {"HR": "92", "WBC": "11.5", LABEL: "1"})


def test_a_record_becomes_a_stay_on_the_grid_of_iculos() -> None:
    ingested = read_psv("set/p7.psv", GOOD)
    stay = ingested.stay
    assert (stay.stay_id, stay.subject_id, stay.admitted_at) == ("p7", "p7", ADMITTED_AT)
    assert (stay.age_years, stay.sex, stay.care_unit) == (71.0, "female", "SICU")
    assert stay.hospital_admitted_at == ADMITTED_AT - timedelta(hours=1.5)
    rows = zip(stay.hours(stay.observations["time"]), stay.observations["variable"], strict=True)
    assert list(rows) == [(1, "heart_rate"), (1, "temperature"), (3, "heart_rate"), (3, "wbc")]
    assert stay.observations["value"].tolist() == [80.0, 36.6, 92.0, 11.5]
    assert stay.observations["time"].equals(stay.observations["known_at"])
    assert len(stay.grid()) == 3


def test_the_hourly_label_comes_with_its_hours() -> None:
    labelled = read_psv("p7.psv", GOOD).labelled
    assert labelled is not None
    assert labelled.hour.tolist() == [1, 2, 3]
    assert labelled.label.tolist() == [0, 0, 1]


def test_challenge_inputs_come_without_labels() -> None:
    ingested = read_psv("p7.psv", psv({"HR": "80", "ICULOS": "5"}, header=HEADER[:-1]))
    assert ingested.labelled is None
    assert ingested.hour is not None
    assert ingested.hour.tolist() == [5]


def test_bad_cells_are_quarantined_and_the_good_ones_beside_them_kept() -> None:
    content = psv({"HR": "900", "Temp": "NEG", "Lactate": "<0.5", "FiO2": "40", "pH": "7.4"}, {"HR": "1_0"})
    ingested = read_psv("p7.psv", content)
    kept = ingested.stay.observations
    assert list(zip(kept["variable"], kept["value"], kept["censored"], strict=True)) == [
        ("lactate", 0.5, "<"),
        ("ph", 7.4, ""),
    ]
    found = [(entry.variable, entry.reason, entry.row) for entry in ingested.quarantine]
    assert found == [
        ("heart_rate", Reason.IMPLAUSIBLE, 1),
        ("heart_rate", Reason.NOT_A_NUMBER, 2),
        ("temperature", Reason.NOT_A_NUMBER, 1),
        ("fio2", Reason.IMPLAUSIBLE, 1),
    ]
    assert all(entry.stay_id == "p7" for entry in ingested.quarantine)
    assert ingested.cells_read == 6


def test_absurd_facts_are_set_aside_and_the_stay_kept() -> None:
    facts = {"Age": "500", "Gender": "2", "HospAdmTime": "24", "Unit2": "NaN"}
    ingested = read_psv("p7.psv", psv({"HR": "80"} | facts))
    stay = ingested.stay
    assert (stay.age_years, stay.sex, stay.care_unit, stay.hospital_admitted_at) == (None, None, None, None)
    found = {entry.variable for entry in ingested.facts_quarantined}
    assert found == {"age_years", "sex", "hospital_admitted_at"}
    assert ingested.cells_kept == 1


def test_an_unknown_column_is_quarantined_not_dropped() -> None:
    header = ("Dose", *HEADER)
    ingested = read_psv("p7.psv", psv({"Dose": "3", "HR": "80"}, header=header))
    assert [(entry.variable, entry.reason) for entry in ingested.quarantine] == [
        ("Dose", Reason.UNKNOWN_VARIABLE)
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (psv(), "no rows"),
        (b"a,b,c\n1,2,3\n", "not pipe-separated"),
        (GOOD.replace(b"80", b"8\0"), "not pipe-separated"),
        (psv({}, header=tuple(name for name in HEADER if name != "Lactate")), "missing column Lactate"),
        (psv({}, header=("HR", *HEADER)), "appears twice"),
        (GOOD + b"1|2\n", "row 4 has 2 cells; expected 41"),
        (psv({}, {"ICULOS": "1"}), "row 2 has ICULOS 1; expected whole hours that increase, above 1"),
        (psv({"ICULOS": "NaN"}), "row 1 has ICULOS nan"),
        (psv({"ICULOS": "1.5"}), "row 1 has ICULOS 1.5"),
        (psv({"ICULOS": "1e9"}), "row 1 has ICULOS 1000000000"),
        (psv({}, {LABEL: "2"}), "row 2 has SepsisLabel 2; expected 0 or 1"),
    ],
)
def test_an_unreadable_record_names_file_row_and_expectation(content: bytes, expected: str) -> None:
    with pytest.raises(UnreadableSource, match=expected) as caught:
        read_psv("set/p7.psv", content)
    assert str(caught.value).startswith("set/p7.psv: ")


def test_line_ends_and_a_byte_order_mark_change_nothing() -> None:
    other = read_psv("p7.psv", b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n"))
    assert other.stay.observations.equals(read_psv("p7.psv", GOOD).stay.observations)


def _written(folder: Path) -> Path:
    (folder / "deep").mkdir()
    (folder / "p1.psv").write_bytes(GOOD)
    (folder / "p2.psv").write_bytes(b"")
    (folder / "deep" / "p3.psv").write_bytes(GOOD)
    (folder / "deep" / "p1.psv").write_bytes(GOOD)
    (folder / "notes.txt").write_text("not a record")
    return folder


def _zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def test_folder_and_zip_yield_the_good_and_report_the_rest(tmp_path: Path) -> None:
    (folder := tmp_path / "set").mkdir()
    for path in (_written(folder), _zipped(folder, tmp_path / "set.zip")):
        source = open_source(path)
        assert source.stay_count == 4
        for _ in range(2):  # each pass starts over
            assert [ingested.stay.stay_id for ingested in source.stays()] == ["p1", "p3"]
            assert [str(failure).split(":")[0] for failure in source.failures] == ["p1.psv", "p2.psv"]


def test_a_single_file_is_a_source_too(tmp_path: Path) -> None:
    for name, content in (("p1.psv", GOOD), ("p2.psv", b"")):
        (tmp_path / name).write_bytes(content)
    good, bad = open_source(tmp_path / "p1.psv"), open_source(tmp_path / "p2.psv")
    assert [ingested.stay.stay_id for ingested in good.stays()] == ["p1"]
    assert list(bad.stays()) == []
    assert "p2.psv: empty" in str(bad.failures[0])
    disguised = _zipped(tmp_path, tmp_path / "p3.psv")
    assert list((source := open_source(disguised)).stays()) == []
    assert "p3.psv: not pipe-separated" in str(source.failures[0])


def test_a_damaged_member_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    archive = _zipped(_written(tmp_path / "set"), tmp_path / "set.zip")
    content = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as opened:
        start = opened.getinfo("deep/p3.psv").header_offset
    content[start + 60] ^= 0xFF
    archive.write_bytes(content)
    source = open_source(archive)
    assert [ingested.stay.stay_id for ingested in source.stays()] == ["p1"]
    assert any("deep/p3.psv: this member of the zip is damaged" in str(error) for error in source.failures)


@pytest.mark.parametrize("name", ["absent.zip", "absent", "absent.psv"])
def test_an_absent_path_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnreadableSource, match=rf"{name}: no such file"):
        open_source(tmp_path / name)


def test_a_truncated_zip_and_a_folder_without_records_are_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    archive = _zipped(_written(tmp_path / "set"), tmp_path / "set.zip")
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(UnreadableSource, match="expected a whole zip archive"):
        open_source(archive)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableSource, match=r"holds no \.psv file"):
        open_source(tmp_path / "empty")


def test_a_stay_that_lost_a_cell_cannot_be_made() -> None:
    whole = read_psv("p7.psv", GOOD)
    with pytest.raises(UnreadableSource, match="5 cells read, but 4 kept and 0 quarantined"):
        IngestedStay(whole.stay, whole.cells_read + 1)


def test_the_summary_counts_by_reason_and_variable() -> None:
    summary = IngestSummary()
    for content in (GOOD, psv({"HR": "900", "Temp": "NEG", "Age": "500"}), psv({"HR": "901"})):
        summary.add(read_psv("p7.psv", content))
    assert (summary.stays, summary.cells_read, summary.cells_kept) == (3, 7, 4)
    assert summary.by_reason() == {Reason.IMPLAUSIBLE: 2, Reason.NOT_A_NUMBER: 1}
    assert summary.quarantined[Reason.IMPLAUSIBLE, "heart_rate"] == 2
    assert summary.facts_quarantined[Reason.IMPLAUSIBLE, "age_years"] == 1


@pytest.mark.data
def test_real_records_are_accounted_for_to_the_cell(data_folder: Path) -> None:
    source = open_source(data_folder / "icu" / "cinc2019" / "training_setA.zip")
    first = next(source.stays())
    assert source.stay_count == 16_313
    with zipfile.ZipFile(source.name) as archive:
        lines = archive.read("training_setA/p000001.psv").decode().split()
    cells = [cell for line in lines[1:] for cell in line.split("|")[:34] if cell != "NaN"]
    assert first.stay.stay_id == "p000001"
    assert first.cells_read == len(cells)
    assert first.hour is not None
    np.testing.assert_array_equal(first.hour, [int(line.split("|")[39]) for line in lines[1:]])
    assert sorted(first.stay.observations["value"].round(6)) == sorted(
        round(float(cell), 6) for cell in cells
    )
