"""The relational engine: no row, line or stay is lost, whatever the tables hold."""

import gzip
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.csv  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]
import pytest

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Reason
from pipelines.ingest.codes_table import Code, Rule
from pipelines.ingest.relational import engine
from pipelines.ingest.relational.engine import Limits, RelationalSource, Relations, find_tables
from pipelines.ingest.source import IngestedStay, IngestSummary

STAYS = "stay,subject,admitted,discharged,age,sex"
ROWS = "stay,time,until,known,code,value,unit,wrong"
RELATIONS = Relations(
    name="ward",
    tables=("beds", "chart"),
    stays="""
    SELECT stay, subject, TRY_CAST(admitted AS TIMESTAMP) AS admitted_at,
           TRY_CAST(discharged AS TIMESTAMP) AS discharged_at, NULL::TIMESTAMP AS hospital_admitted_at,
           age AS age_years, sex, NULL AS care_unit, NULL AS charting, NULL::VARCHAR[] AS diagnoses FROM beds
    """,
    rows={
        "chart": 'SELECT stay, time, "until" AS ended_at, known AS known_at, code, value, unit, '
        "wrong = '1' AS withdrawn FROM chart"
    },
    codes=(
        Code("chart", "hr", "Pulse", "heart_rate", "1/min", Rule.FIXED),
        Code("chart", "t", "Temperature", "temperature", "degC", Rule.TEMPERATURE),
        Code("chart", "lac", "Lactate", "lactate", "mmol/L", Rule.REPORTED),
        Code("chart", "o2", "Oxygen", "fio2", "%", Rule.SHARE),
        Code("chart", "kg", "Weight", "body_weight", "kg", Rule.FIXED),
        Code("chart", "nor", "Noradrenaline", "norepinephrine", "", Rule.REPORTED, "norepinephrine"),
        Code("chart", "vent", "Ventilator", "invasive_ventilation", "", Rule.HELD),
        Code("chart", "prop", "Propofol", "sedation", "", Rule.REPORTED, "propofol"),
    ),
)
BEDS = ("a,1,2101-01-01 08:00:00,2101-01-02 08:00:00,50,F", "b,2,2101-01-01 08:00:00,,60,M")


def _opened(folder: Path, rows: Sequence[str] | bytes, beds: Sequence[str] = BEDS) -> RelationalSource:
    (folder / "beds.csv").write_text("\n".join((STAYS, *beds)) + "\n", encoding="utf-8")
    content = rows if isinstance(rows, bytes) else "".join(f"{row}\n" for row in (ROWS, *rows)).encode()
    (folder / "chart.csv").write_bytes(content)
    return RelationalSource(
        folder, RELATIONS, find_tables(folder, RELATIONS.tables, frozenset()), Limits(256, 1)
    )


def _read(source: RelationalSource) -> tuple[dict[str, IngestedStay], IngestSummary]:
    summary = IngestSummary()
    return {one.stay.stay_id: one for one in summary.counting_all(source)}, summary


def _row(code: str, value: str, unit: str = "", time: str = "2101-01-01 09:00:00", more: str = ",") -> str:
    until, known = more.split(",")
    return f"a,{time},{until},{known},{code},{value},{unit},"


def test_values_are_read_by_the_rule_of_their_code(tmp_path: Path) -> None:
    rows = (
        _row("t", "98.6", "deg"),
        _row("t", "37.5", "deg"),
        _row("t", "310.15", "K"),
        _row("lac", "18.016", "mg/dL"),
        _row("lac", "3"),
        _row("o2", "0.4", "torr"),
        _row("o2", "60", "torr"),
        _row("hr", "80", "furlong"),
    )
    first = _read(_opened(tmp_path, rows))[0]["a"]
    table = first.stay.observations
    found = sorted(zip(table["variable"], table["value"].round(3), strict=True))
    assert found == [
        ("fio2", 0.4),
        ("fio2", 0.6),
        ("heart_rate", 80.0),
        ("lactate", 2.0),
        ("lactate", 3.0),
        ("temperature", 37.0),
        ("temperature", 37.5),
    ]
    assert [(entry.reason, entry.value) for entry in first.quarantine] == [(Reason.DUPLICATE, 310.15)]
    assert first.converted == {("temperature", "degF"): 1, ("lactate", "mg/dL"): 1, ("fio2", "%"): 1}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("nan", Reason.NO_VALUE),
        ("", Reason.NO_VALUE),
        ("___", Reason.NO_VALUE),
        ("inf", Reason.NOT_A_NUMBER),
        ("-infinity", Reason.NOT_A_NUMBER),
        ("irregular", Reason.NOT_A_NUMBER),
        ("1e300", Reason.IMPLAUSIBLE),
        ("1e400", Reason.NOT_A_NUMBER),
        ("9" * 400, Reason.NOT_A_NUMBER),
        ("-5", Reason.IMPLAUSIBLE),
    ],
)
def test_what_is_no_plausible_number_is_set_aside(tmp_path: Path, value: str, reason: Reason) -> None:
    stays, summary = _read(_opened(tmp_path, [_row("hr", value)]))
    assert [entry.reason for entry in stays["a"].quarantine] == [reason]
    assert (summary.cells_read, summary.cells_kept) == (1, 0)


@pytest.mark.parametrize(
    "time", ["", "yesterday", "2101-13-45 00:00:00", "infinity", "294000-01-01 00:00:00"]
)
def test_a_row_without_a_time_is_malformed(tmp_path: Path, time: str) -> None:
    rows = [_row("hr", "80", time=time), _row("nor", "0.1", "mcg/kg/min", time=time)]
    stays, _ = _read(_opened(tmp_path, rows))
    assert [entry.reason for entry in stays["a"].quarantine] == [Reason.MALFORMED, Reason.MALFORMED]


def test_clocks(tmp_path: Path) -> None:
    rows = (
        _row("lac", "1", more=",2101-01-01 09:30:00"),
        _row("lac", "2", more=",2101-01-01 08:30:00"),
        _row("lac", "3"),
        _row("lac", "4", time="2101-01-01 07:59:59"),
    )
    ingested = _read(_opened(tmp_path, rows))[0]["a"]
    table = ingested.stay.observations.sort_values("value")
    lag = timedelta(hours=0.05)
    assert (table["known_at"] - table["time"]).tolist() == [timedelta(minutes=30), lag, lag]
    assert ingested.lag_assumed == {"lactate": 2}
    assert [entry.reason for entry in ingested.quarantine] == [Reason.BEFORE_ADMISSION]


def test_a_repetition_keeps_what_was_known_first(tmp_path: Path) -> None:
    rows = [_row("hr", "80", more=f",2101-01-01 09:{minute}:00") for minute in (40, 10, 30)]
    ingested = _read(_opened(tmp_path, rows))[0]["a"]
    assert ingested.stay.observations["known_at"].tolist() == [datetime(2101, 1, 1, 9, 10, tzinfo=UTC)]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.DUPLICATE, Reason.DUPLICATE]


def test_rows_of_no_stay_or_no_code_are_counted(tmp_path: Path) -> None:
    rows = [
        "x,2101-01-01 09:00:00,,,hr,80,,",
        ",2101-01-01 09:00:00,,,hr,80,,",
        _row("hair", "1"),
        _row("hair", "2"),
        "a,2101-01-01 09:00:00,,,,2,,",
    ]
    source = _opened(tmp_path, rows)
    _, summary = _read(source)
    assert {(rows.reason, rows.code): rows.count for rows in source.set_aside} == {
        (Reason.OUTSIDE_STAY, "heart_rate"): 2,
        (Reason.UNKNOWN_VARIABLE, "chart hair"): 2,
        (Reason.UNKNOWN_VARIABLE, "chart (no code)"): 1,
    }
    assert (summary.cells_read, summary.cells_kept) == (5, 0)


@pytest.mark.parametrize("told", [True, False])
def test_a_code_that_is_not_mapped_has_the_label_of_the_dictionary_where_there_is_one(
    tmp_path: Path, told: bool
) -> None:
    _opened(tmp_path, [_row("hair", "1"), _row("hair of the back", "2"), _row("nail", "3"), _row("hr", "80")])
    if told:
        words = "code,label\nhair,Hair \nhair,Hair again\nnail,\nhr,Pulse\n"
        (tmp_path / "words.csv").write_text(words, encoding="utf-8")
    relations = replace(
        RELATIONS,
        labels={"words": "SELECT 'chart' AS origin, code, label FROM words"},
        optional=frozenset({"words"}),
    )
    source = RelationalSource(
        tmp_path,
        relations,
        find_tables(tmp_path, ("beds", "chart", "words"), relations.optional),
        Limits(256, 1),
    )
    _, summary = _read(source)
    names = ["chart hair Hair", "chart hair of the back Hair", "chart nail"]
    assert [rows.code for rows in source.set_aside] == (
        names if told else ["chart hair", "chart hair of the back", "chart nail"]
    )
    assert (summary.cells_read, summary.cells_kept) == (4, 1)


def test_interventions(tmp_path: Path) -> None:
    rows = (
        _row("kg", "80"),
        _row("nor", "480", "mcg/h", more="2101-01-01 10:00:00,"),
        _row("nor", "480", "mcg/h", more="2101-01-01 10:00:00,"),
        _row("nor", "3", "mL/h", "2101-01-01 11:00:00", "2101-01-01 12:00:00,"),
        _row("prop", "30", "mcg/kg/min", "2100-12-31 11:00:00", "2100-12-30 12:00:00,"),
        _row("vent", "", time="2101-01-01 10:00:00"),
        _row("vent", "", time="2101-01-01 14:00:00"),
        _row("vent", "", time="2101-01-01 14:00:00") + "1",
    )
    ingested = _read(_opened(tmp_path, rows))[0]["a"]
    table = ingested.stay.interventions
    hours = ((table["end"] - table["start"]).dt.total_seconds() / 3600).tolist()
    rates = table["rate"].fillna(-1.0).round(3)
    assert list(zip(table["kind"], hours, rates, strict=True)) == [
        ("sedation", 0.0, -1.0),
        ("norepinephrine", 1.0, 0.1),
        ("invasive_ventilation", 4.0, -1.0),
        ("norepinephrine", 1.0, -1.0),
        ("invasive_ventilation", 8.0, -1.0),
    ]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.DUPLICATE, Reason.WITHDRAWN]


def test_doubtful_stays_are_set_aside_and_their_rows_lie_outside(tmp_path: Path) -> None:
    beds = (
        *BEDS,
        "a,1,2101-01-05 08:00:00,,50,F",
        "c,3,,2101-01-02 08:00:00,50,F",
        "d,4,soon,,50,F",
        ",5,2101-01-01 08:00:00,,50,F",
        "e,6,2101-01-01 08:00:00,2100-01-01 08:00:00,200,none",
    )
    source = _opened(tmp_path, ["c,2101-01-01 09:00:00,,,hr,80,,", _row("hr", "80")], beds)
    stays, summary = _read(source)
    assert (sorted(stays), source.stay_count) == (["a", "b", "e"], 3)
    assert stays["a"].stay.admitted_at == datetime(2101, 1, 1, 8, tzinfo=UTC)
    assert {(rows.reason, rows.code): rows.count for rows in source.set_aside} == {
        (Reason.OUTSIDE_STAY, "heart_rate"): 1,
        (Reason.DUPLICATE, "stay"): 1,
        (Reason.MALFORMED, "stay"): 3,
    }
    assert stays["e"].stay.discharged_at is None
    assert {entry.variable for entry in stays["e"].facts_quarantined} == {"discharged_at", "age_years", "sex"}
    assert (summary.cells_read, summary.cells_kept) == (6, 1)


GOOD = b"a,2101-01-01 09:%02d:00,,,hr,80,,\n"
BROKEN = {
    "too few cells": b"a,2101-01-01 09:00:00,,,hr\n",
    "too many cells": b"a,2101-01-01 09:00:00,,,hr,80,,,one more\n",
    "a quote inside": b'a,2101-01-01 09:00:00,,,hr,8"0,"x"y,\n',
    "latin-1": b"a,2101-01-01 09:00:00,,,hr,80,\xb0C,\n",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("compressed", [False, True])
def test_a_line_that_is_no_row_is_counted(tmp_path: Path, broken: bytes, compressed: bool) -> None:
    lines = b"".join(GOOD % minute for minute in range(1, 60))
    content = ROWS.encode() + b"\n" + lines
    cut = content.index(b"\n", 800) + 1
    source = _opened(tmp_path, content[:cut] + broken + content[cut:])
    if compressed:
        (tmp_path / "chart.csv.gz").write_bytes(gzip.compress((tmp_path / "chart.csv").read_bytes()))
        (tmp_path / "chart.csv").unlink()
        source = RelationalSource(tmp_path, RELATIONS, find_tables(tmp_path, RELATIONS.tables, frozenset()))
    stays, summary = _read(source)
    assert len(stays["a"].stay.observations) == 59
    (lost,) = source.set_aside
    assert (lost.reason, lost.count) == (Reason.MALFORMED, 1)
    assert f"line {content[:cut].count(10) + 1}" in lost.example
    assert summary.cells_read == 60


def test_a_quote_that_never_ends_loses_lines_but_counts_them(tmp_path: Path) -> None:
    content = ROWS.encode() + b"\n" + GOOD % 1 + b'a,2101-01-01 09:00:00,,,hr,"80,,\n' + (GOOD % 2) * 100_000
    stays, summary = _read(_opened(tmp_path, content))
    assert len(stays["a"].stay.observations) >= 1
    assert summary.cells_read == 100_002


def test_nul_bytes_are_text(tmp_path: Path) -> None:
    content = ROWS.encode() + b"\n" + GOOD % 1 + b"a,2101-01-01 09:00:00,,,hr,8\x000,,\n"
    stays, summary = _read(_opened(tmp_path, content))
    assert [entry.reason for entry in stays["a"].quarantine] == [Reason.NOT_A_NUMBER]
    assert summary.cells_read == 2


def test_a_table_of_a_header_alone_is_empty(tmp_path: Path) -> None:
    stays, summary = _read(_opened(tmp_path, []))
    assert (len(stays), summary.cells_read) == (2, 0)


def test_parquet_gives_the_same_stays(tmp_path: Path) -> None:
    source = _opened(tmp_path, [_row("hr", "80"), _row("lac", "<0.3", "mmol/L")])
    from_csv = _read(source)[0]["a"].stay
    for table in RELATIONS.tables:
        read = pa.csv.read_csv(tmp_path / f"{table}.csv")
        pa.parquet.write_table(read, tmp_path / f"{table}.parquet")
        (tmp_path / f"{table}.csv").unlink()
    again = RelationalSource(tmp_path, RELATIONS, find_tables(tmp_path, RELATIONS.tables, frozenset()))
    from_parquet = _read(again)[0]["a"].stay
    assert from_parquet == from_csv
    assert from_parquet.observations.equals(from_csv.observations)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"stay,time,code,value\n", r"no column \w+, which the table chart \(.*chart.csv\) must have"),
        (b"", "expected a line of column names"),
        (b"stay,stay\n", "expected a line of column names"),
    ],
)
def test_a_table_that_is_another_is_refused_by_name(tmp_path: Path, content: bytes, complaint: str) -> None:
    with pytest.raises(UnreadableSource, match=complaint):
        list(_opened(tmp_path, content).stays())


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    source = _opened(tmp_path, [])
    packed = gzip.compress(ROWS.encode() + b"\n" + (GOOD % 1) * 1000)
    (tmp_path / "chart.csv").unlink()
    (tmp_path / "chart.csv.gz").write_bytes(packed[: len(packed) // 2])
    source = RelationalSource(tmp_path, RELATIONS, find_tables(tmp_path, RELATIONS.tables, frozenset()))
    with pytest.raises(UnreadableSource, match=r"chart\.csv\.gz"):
        list(source.stays())


def test_a_stay_cut_by_a_batch_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{stay},2101-01-01 09:{minute:02}:00,,,hr,80,,1" for stay in "ab" for minute in range(60)]
    rows += [f"{stay},2101-01-01 10:{minute:02}:00,,,hr,80,," for stay in "ab" for minute in range(60)]
    whole = _read(_opened(tmp_path, rows))[0]
    monkeypatch.setattr(engine, "BATCH_ROWS", 7)
    cut = _read(_opened(tmp_path, rows[::-1]))[0]
    assert [one.quarantine for one in cut.values()] == [one.quarantine for one in whole.values()]
    for stay, ingested in whole.items():
        assert cut[stay].stay.observations.equals(ingested.stay.observations)


def test_a_remark_may_follow_the_name_of_a_table(tmp_path: Path) -> None:
    for name in ("lab_SUBSET_of_2014.csv", "Vital.CSV.gz", "vital_RAW.csv.gz"):
        (tmp_path / name).touch()
    found = find_tables(tmp_path, ("lab", "vital", "notes"), frozenset({"notes"}))
    assert {name: file.name for name, file in found.items()} == {
        "lab": "lab_SUBSET_of_2014.csv",
        "vital": "Vital.CSV.gz",
    }


def test_too_little_memory_is_one_sentence(tmp_path: Path) -> None:
    _opened(tmp_path, [_row("hr", "80")])
    files = find_tables(tmp_path, RELATIONS.tables, frozenset())
    with pytest.raises(UnreadableSource, match=r"1 MB of memory are too little for it: allow more$"):
        list(RelationalSource(tmp_path, RELATIONS, files, Limits(1, 1)).stays())


@pytest.mark.parametrize("other", ["chart.csv.gz", "CHART.CSV", "later/chart.csv", "chart.parquet"])
def test_a_table_in_two_files_is_refused(tmp_path: Path, other: str) -> None:
    second = tmp_path / other
    second.parent.mkdir(exist_ok=True)
    for file in (tmp_path / "chart.csv", second):
        file.touch()
    with pytest.raises(UnreadableSource, match="the table chart must be one file, but there are") as told:
        find_tables(tmp_path, ("chart",), frozenset())
    assert f" {other}" in str(told.value)


def test_links_are_followed_and_give_a_file_once(tmp_path: Path) -> None:
    store, export = tmp_path / "store", tmp_path / "export"
    for folder in (store, export):
        folder.mkdir()
    (store / "chart.csv").touch()
    (export / "icu").symlink_to(store)
    (store / "around").symlink_to(export)
    (export / "chart.csv").symlink_to(store / "chart.csv")
    found = find_tables(export, ("chart",), frozenset())["chart"]
    assert found.resolve() == store / "chart.csv"
