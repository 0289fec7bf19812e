"""Scores and onsets as other programs write them: names, units, clocks, and every fault by file and row."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from typer.testing import CliRunner

from models.clinical.errors import InvalidInput, UnreadableSource
from models.clinical.score import ScoreStatus
from pipelines.metrics.alarm_columns import read_duration
from pipelines.metrics.alarm_files import AlarmTables, read_scores, read_tables
from pipelines.metrics.alarm_report import KEYS
from pipelines.metrics.alarms import MICROSECONDS_AN_HOUR, NEVER_ENDS, AlarmRule, fire
from pipelines.prediction_files import PredictionTable
from pipelines.predictions import StayPrediction
from prodrome.__main__ import app

SCORES = "stay_id,time,score\na,1,0.2\na,2,0.8\nb,1,0.1\n"
ONSETS = "stay_id,onset\na,4\nb,\n"
DATED = "stay,time,score\na,2026-01-01T02:00,0.8\na,2026-01-01T01:00,0.2\nb,2026-01-01T00:30,0.1\n"
EARLY = "onsets.csv: row 2: onset of stay a is before the first score; leave such events out"
HOUR = MICROSECONDS_AN_HOUR


def read(folder: Path, scores: str = SCORES, onsets: str = ONSETS, ending: str = "csv") -> AlarmTables:
    paths = folder / f"scores.{ending}", folder / f"onsets.{ending}"
    for path, text in zip(paths, (scores, onsets), strict=True):
        path.write_text(text, encoding="utf-8")
    return read_tables(*paths)


def alike(one: AlarmTables, other: AlarmTables) -> bool:
    return all(
        np.array_equal(getattr(left, name), getattr(right, name))
        for left, right, names in [
            (one.scores, other.scores, ("stay_ids",)),
            (one.scores.watched, other.scores.watched, ("rows", "time", "score")),
            (one.events, other.events, ("count", "onset", "end")),
        ]
        for name in names
    )


def test_canonical_columns(tmp_path: Path) -> None:
    tables = read(tmp_path)
    assert tuple(tables.scores.stay_ids) == ("a", "b")
    assert tables.scores.watched.rows.tolist() == [2, 1]
    assert (tables.scores.watched.time // HOUR).tolist() == [1, 2, 1]
    assert tables.scores.watched.score.tolist() == [0.2, 0.8, 0.1]
    assert (tables.events.count.tolist(), tables.events.onset.tolist()) == ([1, 0], [4 * HOUR])
    assert (tables.moments, tables.any_recognised) == (1, False)


@pytest.mark.parametrize(
    ("scores", "onsets"),
    [
        ("stay,hour,value\n", "stay,onset_hour\n"),
        ("patient,hours,probability\n", "patient,onset_hours\n"),
        ("subject_id,time_hours,prediction\n", "subject_id,onset_time\n"),
        ("id,hours_since_admission,risk_score\n", "id,event_start\n"),
        ("PatientID,ICULOS,PredictedProbability\n", "PatientID,sepsis_onset\n"),
        ("\ufeffencounter_id, t ,p\n", "Encounter ID,time\n"),
    ],
)
def test_well_known_names_mean_the_same(tmp_path: Path, scores: str, onsets: str) -> None:
    renamed = read(tmp_path, scores + SCORES.split("\n", 1)[1], onsets + ONSETS.split("\n", 1)[1])
    assert alike(renamed, read(tmp_path))


@pytest.mark.parametrize(
    ("unit", "an_hour"), [("minutes", 60), ("time_min", 60), ("seconds", 3600), ("days", 1 / 24)]
)
def test_a_unit_in_the_name_is_converted(tmp_path: Path, unit: str, an_hour: float) -> None:
    rows = "".join(
        f"{stay},{hour * an_hour},{score}\n"
        for stay, hour, score in [("a", 1, 0.2), ("a", 2, 0.8), ("b", 1, 0.1)]
    )
    onset = f"stay,onset_{unit.removeprefix('time_')}\na,{4 * an_hour}\n"
    assert alike(read(tmp_path, f"stay,{unit},score\n{rows}", onset), read(tmp_path))


def test_five_minute_steps_as_decimal_hours_are_five_minutes(tmp_path: Path) -> None:
    rows = "".join(f"a,{round(step / 12, 6)},0.9\n" for step in range(24))
    tables = read(tmp_path, f"stay,time,score\n{rows}", "stay,onset\n")
    assert set(np.diff(tables.scores.watched.time)) == {HOUR // 12}
    alarm = fire(tables.scores.watched, tables.events, AlarmRule(0.5))
    assert np.flatnonzero(alarm).tolist() == [0, 6, 12, 18]  # every half hour


@pytest.mark.parametrize("ending", ["csv", "tsv", "txt"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_the_header_tells_what_separates_cells(tmp_path: Path, ending: str, delimiter: str) -> None:
    scores, onsets = (text.replace(",", delimiter) for text in (SCORES, ONSETS))
    assert alike(read(tmp_path, scores, onsets, ending), read(tmp_path))


@pytest.mark.parametrize(
    "written",
    ["2026-01-01 0{}:00", "2026-01-01T0{}:00:00", "2026-01-01T0{}:00:00Z", "2026-01-01T0{}:00:00.000+00:00"],
)
def test_dates_of_any_iso_form_tell_the_same(tmp_path: Path, written: str) -> None:
    scores = "stay,time,score\n" + "".join(f"a,{written.format(hour)},0.9\n" for hour in (1, 2))
    tables = read(tmp_path, scores, f"stay,onset\na,{written.format(4)}\n")
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    assert ((tables.scores.watched.time - start) // HOUR).tolist() == [1, 2]
    assert ((tables.events.onset - start) // HOUR).tolist() == [4]


def test_parquet_with_numbers_for_stays_and_timestamps_of_a_zone(tmp_path: Path) -> None:
    time = pd.date_range("2026-01-01 02:00", periods=3, freq="5min", tz="Europe/Zurich")
    pd.DataFrame({"stay": [7, 7, 8], "time": time, "score": [0.1, 0.9, 0.2]}).to_parquet(
        tmp_path / "s.parquet"
    )
    onset = pd.Series([pd.Timestamp("2026-01-01 01:30"), pd.NaT])
    pd.DataFrame({"stay": [7.0, 8.0], "onset": onset}).to_parquet(tmp_path / "o.parquet")
    tables = read_tables(tmp_path / "s.parquet", tmp_path / "o.parquet")
    assert tuple(tables.scores.stay_ids) == ("7", "8")
    assert (
        tables.events.onset[0] - tables.scores.watched.time[0] == HOUR // 2
    )  # 02:00 in Zurich is 01:00 in UTC


def test_rows_may_come_in_any_order_and_events_be_many(tmp_path: Path) -> None:
    scores = "stay,time,score\nb,1,0.1\na,2,0.8\na,1,0.2\n"
    tables = read(tmp_path, scores, "stay,onset,end,recognised\na,9,,7\na,4,5,6\n")
    assert (tuple(tables.scores.stay_ids), tables.scores.watched.score.tolist()) == (
        ("b", "a"),
        [0.1, 0.2, 0.8],
    )
    assert (tables.events.onset // HOUR).tolist() == [4, 9]
    assert (tables.events.end // HOUR).tolist() == [5, 9]
    assert tables.recognised.tolist() == [NEVER_ENDS, 6 * HOUR]
    assert (tables.moments, tables.any_recognised) == (1, True)


def test_blanks_around_a_cell_and_words_for_nothing_are_read(tmp_path: Path) -> None:
    plain = read(tmp_path)
    spaced = "stay_id, time, score\na , 1, 0.2\na , 2, 0.8\nb , 1, 0.1\n"
    for nothing in (" ", "NA", "<NA>", "NULL"):
        assert alike(read(tmp_path, spaced, f"stay_id, onset\na, 4\nb, {nothing}\n"), plain)


def test_parquet_with_stays_as_floats(tmp_path: Path) -> None:
    """As pandas writes whole numbers beside a missing one; parts of a number are told apart."""
    scores, onsets = tmp_path / "scores.parquet", tmp_path / "onsets.parquet"
    pd.DataFrame({"stay": [7, 8], "onset": [4.0, np.nan]}).to_parquet(onsets)
    pd.DataFrame({"stay": [7.0, 8.0], "time": [1, 2], "score": [0.2, 0.8]}).to_parquet(scores)
    assert tuple(read_tables(scores, onsets).scores.stay_ids) == ("7", "8")
    pd.DataFrame({"stay": [1.2, 1.5], "time": [1, 2], "score": [0.2, 0.8]}).to_parquet(scores)
    assert tuple(read_scores(scores).stay_ids) == ("1.2", "1.5")
    stay = pa.array([7.0, np.nan], from_pandas=False)
    pq.write_table(pa.table({"stay": stay, "time": [1, 2], "score": [0.2, 0.8]}), scores)
    with pytest.raises(UnreadableSource, match=r"scores.parquet: row 2: stay is empty"):
        read_scores(scores)


def test_scores_that_are_lists_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    pq.write_table(pa.table({"stay": ["a"], "time": [1], "score": [[0.2, 0.8]]}), path)
    with pytest.raises(UnreadableSource, match=r"scores.parquet: score holds list.*; expected numbers"):
        read_scores(path)


def test_our_own_table_of_predictions_with_hours_without_a_score(tmp_path: Path) -> None:
    prediction = StayPrediction(
        "p1",
        "s1",
        datetime(2026, 1, 1, tzinfo=UTC),
        np.array([1, 2, 3]),
        np.array([0.7, np.nan, 0.8]),
        np.full(3, np.nan),
        np.full(3, np.nan),
        (ScoreStatus.PRESENT, ScoreStatus.INDETERMINATE, ScoreStatus.PRESENT),
        ("", "too little is known", ""),
        prior=0.0,
    )
    with PredictionTable.writing(tmp_path / "predictions.parquet", 0.5) as table:
        table.add(prediction)
    (tmp_path / "labels.csv").write_text("stay,onset_hour\np1,5\n", encoding="utf-8")
    tables = read_tables(tmp_path / "predictions.parquet", tmp_path / "labels.csv")
    assert np.array_equal(tables.scores.watched.score, [0.7, np.nan, 0.8], equal_nan=True)
    assert (tables.scores.watched.time // HOUR).tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("scores", "onsets", "fault"),
    [
        ("stay,time,score\na,1,0.5\na,2,NaN\n", ONSETS, r"scores.csv: row 2: score NaN is outside \[0, 1\]"),
        ("stay,time,score\na,1,1.5\n", ONSETS, r"scores.csv: row 1: score 1.5 is outside \[0, 1\]"),
        ("stay,time,score\na,1,-0.1\n", ONSETS, "scores.csv: row 1: score -0.1"),
        ("stay,time,score\na,1,0.5\na,2,\n", ONSETS, "scores.csv: row 2: score is empty"),
        ("stay,time,score\na,1,0.5\na,2,high\n", ONSETS, "scores.csv: row 2: score 'high' is no number"),
        ("stay,time,score\na,1,0.5\na,,0.5\n", ONSETS, "scores.csv: row 2: time is empty"),
        ("stay,time,score\na,1,0.5\na,noon,0.5\n", ONSETS, "scores.csv: row 2: time 'noon' is no number"),
        ("stay,time,score\na,-1,0.5\n", ONSETS, "scores.csv: row 1: time is before admission"),
        ("stay,time,score\n,1,0.5\n", ONSETS, "scores.csv: row 1: stay is empty"),
        ("stay,time,score\na,1,0.5\nb,1,0\na,1.0,0.5\n", ONSETS, "row 3: stay a has two scores at one time"),
        ("stay,time,score\n", ONSETS, "scores.csv: no row"),
        ("stay,time,score\na,1,0.5\na,2\n", ONSETS, "scores.csv: row 2: 2 cells, expected 3: a,2"),
        ("stay,time,score\na,1,0.5\na,2,0.5,7\n", ONSETS, "scores.csv: row 2: 4 cells, expected 3: a,2"),
        ("time,score\n1,0.5\n", ONSETS, "scores.csv: no column tells the stay; .* found time, score"),
        ("stay,score\na,0.5\n", ONSETS, "scores.csv: no column tells the time"),
        (SCORES, "stay,note\na,x\n", "onsets.csv: no column tells the onset"),
        (SCORES, "stay,onset\na,4\nc,5\n", "onsets.csv: row 2: stay c has no score in .*scores.csv"),
        (SCORES, "stay,onset\na,-3\n", "onsets.csv: row 1: onset of stay a is before admission"),
        (DATED, "stay,onset\nb,2026-01-01T02:00\na,2026-01-01T00:59\n", EARLY),
        (SCORES, "stay,onset\na,4\na,4\n", "onsets.csv: row 2: stay a has two events at one onset"),
        (SCORES, "stay,onset,end\na,4,3\n", "onsets.csv: row 1: end is before onset"),
        (SCORES, "stay,onset\na,inf\n", "onsets.csv: row 1: onset 'inf' is no date"),
        (SCORES, "stay,onset\na,2026-01-01T04:00\n", "onsets.csv: onset holds dates, but time of .* numbers"),
        (
            SCORES,
            "stay,onset,end\na,4,2026-01-01\n",
            "onsets.csv: end and onset tell time by different clocks",
        ),
    ],
)
def test_a_fault_is_named_by_file_and_row(tmp_path: Path, scores: str, onsets: str, fault: str) -> None:
    with pytest.raises(UnreadableSource, match=fault):
        read(tmp_path, scores, onsets)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match=r"none.csv: no such file"):
        read_tables(tmp_path / "none.csv", tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("8h", 28_800), ("30min", 1800), ("25 min", 1500), ("90s", 90), ("1d", 86_400), ("1.5h", 5400)],
)
def test_durations(text: str, seconds: int) -> None:
    assert read_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["8", "h", "-1h", "8 fortnights", "", "1e9d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="no duration"):
        read_duration(text)


def run(folder: Path, scores: str, onsets: str, *options: str) -> tuple[int, str]:
    read(folder, scores, onsets)
    paths = [str(folder / "scores.csv"), str(folder / "onsets.csv")]
    done = CliRunner().invoke(app, ["metrics", "alarms", *paths, *options])
    return done.exit_code, done.stdout


def test_the_command_prints_the_record_and_null_where_undefined(tmp_path: Path) -> None:
    code, printed = run(tmp_path, SCORES, "stay,onset\na,4\n", "--json", "--threshold", "1.0")
    assert code == 0
    record = json.loads(printed)
    assert tuple(record) == KEYS
    assert [key for key in KEYS if record[key] is None] == ["precision", "lead_time_hours"]
    assert record["false_alarms_per_patient_day"] == record["alerts_per_100_patient_days"] == 0


@pytest.mark.parametrize(
    ("scores", "onsets"),
    [
        (SCORES, "stay,onset\nb,9\nb,10\na,11\na,10.5\n"),
        (
            DATED,
            "stay,onset\nb,2026-01-01T08:30\nb,2026-01-01T09:00\na,2026-01-01T11:00\na,2026-01-01T10:01\n",
        ),
    ],
)
def test_events_beyond_the_window_of_the_last_score_are_named(
    tmp_path: Path, scores: str, onsets: str
) -> None:
    tables = read(tmp_path, scores, onsets)
    said = tables.beyond(timedelta(hours=8))
    assert said is not None
    assert "3 of 4 events begin more than 8 h after the last score of their stay" in said
    assert "onsets.csv: row 2, of stay b" in said
    assert tables.beyond(timedelta(hours=9)) is None


@pytest.mark.parametrize("onsets", ["stay,onset\n", "stay,onset\na,\nb,NaN\n"])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_table_without_any_onset_is_refused(tmp_path: Path, onsets: str, options: list[str]) -> None:
    read(tmp_path, SCORES, onsets)
    paths = [str(tmp_path / "scores.csv"), str(tmp_path / "onsets.csv")]
    done = CliRunner().invoke(app, ["metrics", "alarms", *paths, *options])
    assert (done.exit_code, done.stdout) == (1, "")
    assert isinstance(done.exception, InvalidInput)
    assert "onsets.csv: no positive subject: no onset of any of 2 stays" in str(done.exception)


def test_an_event_at_the_first_score_of_a_dated_table_counts(tmp_path: Path) -> None:
    tables = read(tmp_path, DATED, "stay,onset\na,2026-01-01T01:00\n")
    assert tables.events.count.tolist() == [1, 0]
    assert tables.beyond(timedelta(hours=8)) is None


def test_the_command_says_which_events_no_alarm_can_foretell(tmp_path: Path) -> None:
    read(tmp_path, SCORES, "stay,onset\na,40\n")
    paths = [str(tmp_path / "scores.csv"), str(tmp_path / "onsets.csv")]
    done = CliRunner().invoke(app, ["metrics", "alarms", *paths])
    assert done.exit_code == 0
    assert "1 of 1 events begin more than 8 h after the last score" in done.stderr


def test_the_command_without_json_tells_what_clinicians_had_not_seen_yet(tmp_path: Path) -> None:
    code, printed = run(tmp_path, SCORES, "stay,onset,recognised\na,4,1.5\n")
    assert code == 0
    whole, before = printed.split("before clinical recognition")
    assert "1, 1 true" in whole
    assert "0, 0 true" in before
    assert "1, 0 detected" in before
