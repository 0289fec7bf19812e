"""The long-table source: CSV and Parquet give the same stays, and every row is accounted for."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Reason
from models.clinical.variables import variable
from pipelines.ingest.long_table import open_source
from pipelines.ingest.source import IngestedStay

HEADER = "stay,time,known_at,variable,value,unit"
GOOD = (
    "a,2026-01-01T08:30:00Z,,heart_rate,90,1/min",
    "a,2026-01-01T09:10:00Z,2026-01-01T10:05:00Z,2524-7,18,mg/dL",
    "b,2026-01-01T10:30:00+02:00,,temperature,98.6,Cel",
    "b,2026-01-01T10:30:00+02:00,,temperature,98.6,[degF]",
)


def _written(folder: Path, rows: Sequence[str], header: str = HEADER, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def _stays(path: Path) -> dict[str, IngestedStay]:
    return {ingested.stay.stay_id: ingested for ingested in open_source(path).stays()}


def test_rows_become_stays(tmp_path: Path) -> None:
    source = open_source(_written(tmp_path, GOOD))
    first, second = source.stays()
    assert source.stay_count == 2
    assert first.stay.admitted_at == datetime(2026, 1, 1, 8, tzinfo=UTC)
    assert first.stay.subject_id == "a"
    assert first.stay.observations["variable"].tolist() == ["heart_rate", "lactate"]
    assert first.stay.observations["value"].round(3).tolist() == [90.0, 1.998]
    assert first.stay.last_known_at == datetime(2026, 1, 1, 10, 5, tzinfo=UTC)
    assert second.stay.observations["value"].tolist() == [37.0]
    assert second.quarantine[0].detail == ("temperature '98.6' Cel (98.6 degC) is outside [25, 45] degC")
    assert (first.labelled, source.failures) == (None, ())


def test_known_at_may_be_left_out(tmp_path: Path) -> None:
    path = _written(tmp_path, ["a,2026-01-01T08:30:00Z,8867-4,90,bpm"], "stay,time,code,value,unit")
    table = _stays(path)["a"].stay.observations
    assert table["known_at"].equals(table["time"])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,2026-01-01T08:30:00,,heart_rate,90,1/min", Reason.MALFORMED),
        ("a,01/02/2026,,heart_rate,90,1/min", Reason.MALFORMED),
        ("a,,,heart_rate,90,1/min", Reason.MALFORMED),
        ("a,2026-01-01T09:00:00Z,2026-01-01T08:00:00Z,heart_rate,90,1/min", Reason.KNOWN_BEFORE_MEASURED),
        ("a,2026-01-01T09:00:00Z,,pulse,90,1/min", Reason.UNKNOWN_VARIABLE),
        ("a,2026-01-01T09:00:00Z,,,90,1/min", Reason.UNKNOWN_VARIABLE),
        ("a,2026-01-01T09:00:00Z,,heart_rate,90,", Reason.MISSING_UNIT),
        ("a,2026-01-01T09:00:00Z,,heart_rate,90,mmHg", Reason.UNACCEPTED_UNIT),
        ("a,2026-01-01T09:00:00Z,,heart_rate,,1/min", Reason.NO_VALUE),
        ("a,2026-01-01T09:00:00Z,,heart_rate,NaN,1/min", Reason.NO_VALUE),
        ("a,2026-01-01T09:00:00Z,,heart_rate,refused,1/min", Reason.NOT_A_NUMBER),
        ("a,2026-01-01T09:00:00Z,,heart_rate,900,1/min", Reason.IMPLAUSIBLE),
    ],
)
def test_a_bad_row_is_quarantined_beside_the_good_ones(tmp_path: Path, row: str, reason: Reason) -> None:
    ingested = _stays(_written(tmp_path, [*GOOD[:2], row]))["a"]
    assert ingested.cells_kept == 2
    assert [(entry.reason, entry.row, entry.stay_id) for entry in ingested.quarantine] == [(reason, 3, "a")]


def test_rows_that_belong_to_no_stay_are_failures_with_their_row(tmp_path: Path) -> None:
    broken = ["a,2026", ",2026-01-01T08:30:00Z,,heart_rate,90,1/min", "c,2026-01-01,,heart_rate,90,1/min"]
    source = open_source(_written(tmp_path, [*GOOD[:2], *broken]))
    assert [ingested.stay.stay_id for ingested in source.stays()] == ["a"]
    messages = " ".join(map(str, source.failures))
    assert "row 3 has 2 cells; expected 6: a,2026" in messages
    assert "row 4 has no stay" in messages
    assert "stay c: none of its 1 rows has a time with an offset" in messages
    assert "row 5 has '2026-01-01'" in messages


def test_parquet_gives_what_csv_gives(tmp_path: Path) -> None:
    path = _written(tmp_path, GOOD)
    table = pd.read_csv(path)
    table["time"] = pd.to_datetime(table["time"], utc=True)
    table["known_at"] = pd.to_datetime(table["known_at"], utc=True)
    table["variable"] = table["variable"].astype("category")
    table.to_parquet(path.with_suffix(".parquet"))
    from_csv, from_parquet = _stays(path), _stays(path.with_suffix(".parquet"))
    assert list(from_csv) == list(from_parquet) == ["a", "b"]
    for stay_id, ingested in from_csv.items():
        assert ingested.stay.observations.equals(from_parquet[stay_id].stay.observations)


def test_parquet_times_without_a_zone_are_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    time = pd.to_datetime(["2026-01-01T08:30:00"])
    pd.DataFrame(
        {"stay": ["a"], "time": time, "code": ["8867-4"], "value": [90.0], "unit": ["bpm"]}
    ).to_parquet(path)
    source = open_source(path)
    assert list(source.stays()) == []
    assert "none of its 1 rows has a time with an offset" in str(source.failures[0])


def test_the_sibling_file_describes_the_stays(tmp_path: Path) -> None:
    facts = [
        "a,s-1,2026-01-01T08:15:00Z,71,F,MICU,2025-12-31T00:00:00Z",
        "b,s-2,2026-01-01T08:45:00Z,710,x,,",
    ]
    header = "stay,subject,admitted_at,age_years,sex,care_unit,hospital_admitted_at"
    _written(tmp_path, facts, header, "rows.stays.csv")
    stays = _stays(_written(tmp_path, GOOD))
    stay = stays["a"].stay
    assert (stay.subject_id, stay.age_years, stay.sex, stay.care_unit) == ("s-1", 71.0, "female", "MICU")
    assert stay.admitted_at == datetime(2026, 1, 1, 8, 15, tzinfo=UTC)
    assert stay.hospital_admitted_at == datetime(2025, 12, 31, tzinfo=UTC)
    assert {entry.variable for entry in stays["b"].facts_quarantined} == {"age_years", "sex"}
    reasons = [entry.reason for entry in stays["b"].quarantine]
    assert reasons == [Reason.IMPLAUSIBLE, Reason.BEFORE_ADMISSION]


def test_a_stay_described_twice_is_refused(tmp_path: Path) -> None:
    _written(tmp_path, ["a,s-1", "a,s-2"], "stay,subject", "rows.stays.csv")
    with pytest.raises(UnreadableSource, match="row 2 describes stay a a second time"):
        open_source(_written(tmp_path, GOOD))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("rows.csv", b"", "missing column stay, time, value, unit, variable or code"),
        ("rows.csv", b"stay,time,variable,value\n", "missing column unit; found stay, time, variable, value"),
        (
            "rows.csv",
            b"stay,time,heart_rate,lactate\n",
            r"heart_rate, lactate has no unit; .*heart_rate \[1/min\]",
        ),
        ("rows.csv", b"time,heart_rate [1/min]\n", "missing column stay, value"),
        ("rows.parquet", b"PAR1 no more", "expected a whole table"),
        ("rows.xlsx", b"", r"expected a \.csv or \.parquet file"),
    ],
)
def test_an_unreadable_table_names_file_and_expectation(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableSource, match=expected) as caught:
        list(open_source(tmp_path / name).stays())
    assert name in str(caught.value)


def test_an_absent_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match=r"absent\.csv: no such file"):
        open_source(tmp_path / "absent.csv")


def test_when_a_laboratory_result_became_known_is_assumed_where_it_is_not_said(tmp_path: Path) -> None:
    ingested = _stays(_written(tmp_path, ["a,2026-01-01T08:30:00Z,,sodium,140,mmol/L"]))["a"]
    table = ingested.stay.observations
    assert (table["known_at"] - table["time"]).tolist() == [variable("sodium").lag]
    assert ingested.lag_assumed == {"sodium": 1}


def test_versions_of_one_measurement_replace_and_withdraw(tmp_path: Path) -> None:
    header = f"{HEADER},identifier,status"
    rows = [
        "a,2026-01-01T08:30:00Z,2026-01-01T09:00:00Z,potassium,5.9,mmol/L,k1,preliminary",
        "a,2026-01-01T08:30:00Z,2026-01-01T10:00:00Z,potassium,4.1,mmol/L,k1,final",
        "a,2026-01-01T08:30:00Z,2026-01-01T09:00:00Z,sodium,140,mmol/L,n1,final",
        "a,2026-01-01T08:30:00Z,2026-01-01T11:00:00Z,sodium,140,mmol/L,n1,entered-in-error",
    ]
    ingested = _stays(_written(tmp_path, rows, header))["a"]
    table = ingested.stay.observations.sort_values(["variable", "known_at"])
    assert table["value"].tolist() == [5.9, 4.1, 140.0]
    hours = [None if pd.isna(end) else end.hour for end in table["known_until"]]
    assert hours == [10, None, 11]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.WITHDRAWN]


def test_a_detection_limit_is_said_by_the_value_or_by_a_column(tmp_path: Path) -> None:
    rows = ["a,2026-01-01T08:30:00Z,,lactate,<0.5,mmol/L,", "a,2026-01-01T09:30:00Z,,lactate,0.4,mmol/L,<"]
    table = _stays(_written(tmp_path, rows, f"{HEADER},censored"))["a"].stay.observations
    assert list(zip(table["value"], table["censored"], strict=True)) == [(0.5, "<"), (0.4, "<")]


@pytest.mark.parametrize(
    ("name", "suggested"),
    [("heartrate", "heart_rate"), ("SpO2", "oxygen_saturation"), ("Creatinin", "creatinine")],
)
def test_an_unknown_name_is_answered_with_the_closest(tmp_path: Path, name: str, suggested: str) -> None:
    ingested = _stays(_written(tmp_path, [GOOD[0], f"a,2026-01-01T08:30:00Z,,{name},90,1/min"]))["a"]
    assert f"Did you mean {suggested}" in ingested.quarantine[0].detail


def test_a_wide_table_is_read_cell_by_cell(tmp_path: Path) -> None:
    header = "stay,time,heart_rate [1/min],temperature [[degF]],pulse [bpm],note"
    rows = [
        "a,2026-01-01T08:30:00Z,90,98.6,,well",
        "a,2026-01-01T09:30:00Z,,,71,",
        "b,2026-01-01T08:30:00Z,900,,,",
    ]
    stays = _stays(_written(tmp_path, rows, header))
    table = stays["a"].stay.observations
    assert list(zip(table["variable"], table["value"], strict=True)) == [
        ("heart_rate", 90),
        ("temperature", 37),
    ]
    assert [(entry.reason, entry.row) for entry in stays["a"].quarantine] == [(Reason.UNKNOWN_VARIABLE, 2)]
    assert [(entry.reason, entry.row) for entry in stays["b"].quarantine] == [(Reason.IMPLAUSIBLE, 3)]


def test_a_byte_that_is_no_utf8_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows = "\n".join((HEADER, *GOOD, "b,2026-01-01T11:00:00Z,,creatinine,88,µmol/L", "ü,x,,lactate,1,é"))
    path.write_bytes(rows.encode("latin-1"))
    stays = _stays(path)
    assert stays["b"].stay.observations["value"].round(2).tolist() == [37.0, 1.0]


def test_rows_scattered_over_the_file_are_put_together(tmp_path: Path) -> None:
    grouped, scattered = (
        _stays(_written(tmp_path, GOOD)),
        _stays(_written(tmp_path, [GOOD[i] for i in (2, 0, 3, 1)])),
    )
    assert list(scattered) == list(grouped)
    for stay_id, ingested in grouped.items():
        assert ingested.stay.observations.equals(scattered[stay_id].stay.observations)


def test_interventions_stand_beside_the_table(tmp_path: Path) -> None:
    done = [
        "a,2026-01-01T07:00:00Z,,antibiotic,,,ceftriaxone",
        "a,2026-01-01T09:00:00Z,2026-01-01T12:00:00Z,norepinephrine,6,mcg/kg/h,",
        "a,2026-01-01T09:00:00Z,2026-01-01T12:00:00Z,norepinephrine,6,mcg/kg/h,",
        "a,2026-01-01T09:00:00Z,,norepinephrine,6,mL/h,",
        "a,2026-01-01T09:00:00Z,2026-01-01T08:00:00Z,sedation,,,",
        "a,2026-01-01T09:00:00Z,,aspirin,,,",
        "z,2026-01-01T09:00:00Z,,culture,,,blood",
    ]
    _written(tmp_path, done, "stay,start,end,kind,rate,unit,agent", "rows.interventions.csv")
    source = open_source(_written(tmp_path, GOOD))
    first, _ = source.stays()
    table = first.stay.interventions
    assert list(zip(table["kind"], table["agent"], strict=True)) == [
        ("antibiotic", "ceftriaxone"),
        ("norepinephrine", ""),
    ]
    assert table["rate"].iloc[1] == pytest.approx(0.1)
    assert [entry.reason for entry in first.quarantine] == [
        Reason.DUPLICATE,
        Reason.UNACCEPTED_UNIT,
        Reason.MALFORMED,
        Reason.UNKNOWN_VARIABLE,
    ]
    assert first.cells_read == 2 + 6
    assert [(one.reason, one.count) for one in source.set_aside] == [(Reason.UNKNOWN_STAY, 1)]


WIDE = "stay,time,heart_rate [1/min],temperature [°C]"


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        (WIDE.replace(",", ", "), "utf-8"),
        (WIDE, "latin-1"),
        (f'{WIDE},"note, free"', "utf-8"),
        (WIDE, "utf-8-sig"),
    ],
)
def test_a_header_is_read_as_it_was_meant(tmp_path: Path, header: str, encoding: str) -> None:
    row = "a,2026-01-01T08:30:00Z,80,37" + ",x" * ("note" in header)
    (tmp_path / "rows.csv").write_bytes(f"{header}\n{row}\n".encode(encoding))
    table = _stays(tmp_path / "rows.csv")["a"].stay.observations
    assert table["value"].tolist() == [80.0, 37.0]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace(",", ";"), "columns stand between ';'; expected commas"),
        (HEADER.replace(",", "\t"), "expected commas"),
        (f"{HEADER},value", "column value stands twice"),
        ("stay,time,heart_rate [1/min],heart_rate [1/min]", r"heart_rate \[1/min\] stands twice"),
    ],
)
def test_a_header_that_could_be_misread_is_refused(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(UnreadableSource, match=message):
        open_source(_written(tmp_path, [], header))


def test_cancelled_withdraws_and_a_sign_that_is_none_spoils_the_value(tmp_path: Path) -> None:
    at = "a,2026-01-01T08:30:00Z,2026-01-01T"
    rows = [
        f"{at}09:00:00Z,lactate,5,mmol/L,x,final,",
        f"{at}10:00:00Z,lactate,5,mmol/L,x,cancelled,",
        f"{at}10:00:00Z,lactate,50,mmol/L,y,final, >",
        f"{at}10:00:00Z,lactate,<0.5,mmol/L,z,final,<",
        f"{at}10:00:00Z,lactate,7,mmol/L,w,final,about",
    ]
    ingested = _stays(_written(tmp_path, rows, f"{HEADER},identifier,status,censored"))["a"]
    table = ingested.stay.observations
    assert table["known_until"].notna().tolist() == [True, False, False]
    assert table["censored"].tolist() == ["", "<", ">"]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.WITHDRAWN, Reason.NOT_A_NUMBER]


def test_a_rate_without_end_is_no_rate(tmp_path: Path) -> None:
    done = ["a,2026-01-01T09:00:00Z,norepinephrine,1e400,ug/kg/min"]
    _written(tmp_path, done, "stay,start,kind,rate,unit", "rows.interventions.csv")
    ingested = _stays(_written(tmp_path, GOOD))["a"]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.NOT_A_NUMBER]
