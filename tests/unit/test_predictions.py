"""Predictions: one a row, silence kept as silence, files complete or absent, and the same over processes."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from models.clinical.errors import InvalidInput, ScoringFailed, UnknownModel
from models.clinical.score import ScoreSeries, ScoreStatus
from models.clinical.stay import Stay, empty_observations, observation_table
from models.registry import load
from models.rules import NEWS2, QSOFA
from pipelines.ingest.cinc2019 import COLUMNS, open_source
from pipelines.ingest.source import IngestedStay
from pipelines.prediction_files import (
    PredictionTable,
    _score_rows,
    prediction_rows,
    score_challenge,
    score_source,
    write_psv,
)
from pipelines.predictions import StayPrediction, predict, predict_all

ADMITTED = datetime(2026, 3, 1, tzinfo=UTC)
HEADER = [*COLUMNS, "Age", "Gender", "Unit1", "Unit2", "HospAdmTime", "ICULOS", "SepsisLabel"]
PRESENT, ABSENT = ScoreStatus.PRESENT, ScoreStatus.ABSENT


def psv(hours: range, seed: int) -> str:
    """A challenge file: vital signs at random, each missing half the time; septic from the tenth row."""
    rng = np.random.default_rng(seed)
    lines = ["|".join(HEADER)]
    for row, hour in enumerate(hours):
        cells = dict.fromkeys(HEADER, "NaN") | {"ICULOS": str(hour), "SepsisLabel": str(int(row >= 10))}
        for column, low, high in (("Resp", 8, 35), ("SBP", 80, 160), ("HR", 50, 140), ("Temp", 35, 40)):
            if rng.random() < 0.5:
                cells[column] = str(rng.integers(low, high))
        lines.append("|".join(cells.values()))
    return "\n".join(lines) + "\n"


@pytest.fixture
def records(tmp_path: Path) -> Path:
    folder = tmp_path / "records"
    folder.mkdir()
    for number in range(40):
        first = 1 + number % 3 * 20  # some files begin long after admission
        content = psv(range(first, first + 6 + number % 11), number)
        (folder / f"p{number:06}.psv").write_text(content)
    return folder


def ingested(hour: list[int] | None, label: list[int] | None = None) -> IngestedStay:
    """A stay whose qSOFA is 2/3 from the second hour on and too old after the fourteenth."""
    time = [ADMITTED + timedelta(hours=2)] * 2
    table = observation_table(time, time, ["respiratory_rate", "systolic_pressure"], [30.0, 90.0])
    return IngestedStay(
        Stay("s", "subject", ADMITTED, table),
        cells_read=2,
        hour=None if hour is None else np.array(hour),
        label=None if label is None else np.array(label, dtype=np.int8),
    )


def test_each_row_gets_the_score_of_its_hour() -> None:
    prediction = predict(QSOFA(), ingested([1, 2, 14, 15]))
    np.testing.assert_array_equal(prediction.value, [np.nan, 2 / 3, 2 / 3, np.nan])
    assert prediction.status == (ABSENT, PRESENT, PRESENT, ScoreStatus.INDETERMINATE)
    assert [bool(reason) for reason in prediction.reason] == [True, False, False, True]


class Expecting(QSOFA):
    """A rule that has counted what becomes of patients of whom nothing is known."""

    @property
    def prior(self) -> float:
        return 0.02


def test_before_the_first_score_stands_the_prior_and_later_silence_repeats_the_last() -> None:
    prediction = predict(Expecting(), ingested([1, 2, 14, 15]))
    np.testing.assert_array_equal(prediction.value, [np.nan, 2 / 3, 2 / 3, np.nan])
    np.testing.assert_array_equal(prediction.probability, [0.02, 2 / 3, 2 / 3, 2 / 3])


def test_a_rule_expects_nothing_before_its_first_score() -> None:
    prediction = predict(QSOFA(), ingested([1, 2, 14, 15]))
    np.testing.assert_array_equal(prediction.probability, [0.0, 2 / 3, 2 / 3, 2 / 3])
    np.testing.assert_array_equal(prediction.predicted(2 / 3), [0, 1, 1, 1])


def test_a_source_without_rows_is_scored_on_the_grid() -> None:
    prediction = predict(QSOFA(), ingested(None))
    np.testing.assert_array_equal(prediction.hour, [1, 2])
    assert prediction.label is None


def test_a_row_before_the_first_grid_hour_is_refused() -> None:
    with pytest.raises(InvalidInput, match="hour 0"):
        predict(QSOFA(), ingested([0, 1]))


class Spread(QSOFA):
    """A rule that is unsure by a tenth."""

    def score(self, stay: Stay, end: datetime | None = None) -> ScoreSeries:
        """What the rule says, a tenth up and down."""
        plain = super().score(stay, end)
        return replace(plain, low=plain.value - 0.1, high=plain.value + 0.1)


def test_the_tables_hold_the_spread_of_each_score(tmp_path: Path) -> None:
    stated, plain = (predict(model, ingested([1, 2, 14, 15])) for model in (Spread(), QSOFA()))
    for rows_of in (_score_rows, lambda stays: prediction_rows(stays, 0.5)):
        table = rows_of([stated]).to_pydict()
        assert table["low"] == [None, 2 / 3 - 0.1, 2 / 3 - 0.1, None]
        assert table["high"] == [None, 2 / 3 + 0.1, 2 / 3 + 0.1, None]
        assert rows_of([plain]).to_pydict()["low"] == [None] * 4
    write_psv(stated, 0.5, tmp_path)
    assert (tmp_path / "s.psv").read_text().count("|") == 5


class Failing(NEWS2):
    def score(self, stay: Stay, end: datetime | None = None) -> ScoreSeries:
        raise ScoringFailed("the matrix is not positive definite")


def test_a_stay_the_model_fails_on_has_no_score_and_says_why() -> None:
    prediction = predict(Failing(), ingested([1, 2], [0, 1]))
    assert np.isnan(prediction.value).all()
    assert prediction.status == (ABSENT, ABSENT)
    assert "not positive definite" in prediction.reason[0]
    np.testing.assert_array_equal(prediction.label, [0, 1])


def test_files_hold_one_row_an_input_row_and_the_table_the_truth(records: Path, tmp_path: Path) -> None:
    advanced: list[int] = []
    done = score_challenge(open_source(records), "qsofa", tmp_path / "out", progress=advanced.append)
    assert (done.stays, sum(advanced)) == (40, 40)
    for file in sorted(records.iterdir()):
        written = (tmp_path / "out" / file.name).read_text().splitlines()
        assert written[0] == "PredictedProbability|PredictedLabel"
        assert len(written) == len(file.read_text().splitlines())
    table = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pandas()
    assert len(table) == done.hours
    assert table["value"].notna().sum() == done.hours_with_score
    assert 0 < done.hours_with_score < done.hours
    silent = table[table["value"].isna()]
    assert (silent["status"] != "present").all()
    assert (silent["reason"] != "").all()
    assert not list((tmp_path / "out").glob(".*"))


def test_what_is_set_aside_is_told_with_its_row(records: Path, tmp_path: Path) -> None:
    file = tmp_path / "in" / "p000007.psv"
    file.parent.mkdir()
    header, *rows = (records / "p000007.psv").read_text().splitlines()
    third = rows[2].split("|")
    third[header.split("|").index("HR")] = "9000"
    file.write_text("\n".join([header, *rows[:2], "|".join(third), *rows[3:]]) + "\n")
    for name, score in (("psv", score_challenge), ("table", score_source)):
        score(open_source(file.parent), "news2", tmp_path / name)
        aside = pq.read_table(tmp_path / name / "quarantine.parquet").to_pandas()
        (wrong,) = aside[aside["value_number"] == 9000.0].to_dict("records")
        assert (wrong["stay"], wrong["row"], wrong["variable"]) == ("p000007", 3, "heart_rate")
        assert "9000" in wrong["detail"]


def test_files_say_what_the_table_says(records: Path, tmp_path: Path) -> None:
    score_challenge(open_source(records), "news2", tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pandas()
    rows = table[table["stay_id"] == "p000007"]
    lines = (tmp_path / "out" / "p000007.psv").read_text().splitlines()[1:]
    expected = zip(rows["probability"].tolist(), rows["predicted"].tolist(), strict=True)
    assert [(float(p), int(label)) for p, label in (line.split("|") for line in lines)] == list(expected)


def test_processes_give_what_one_process_gives(records: Path, tmp_path: Path) -> None:
    one = score_challenge(open_source(records), "news2", tmp_path / "one")
    two = score_challenge(open_source(records), "news2", tmp_path / "two", workers=2)
    assert one == two
    files = sorted(path.name for path in (tmp_path / "one").glob("*.psv"))
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    left, right = (pq.read_table(tmp_path / side / "predictions.parquet") for side in ("one", "two"))
    assert left.equals(right)


def test_a_process_that_dies_is_an_error_not_a_short_answer(records: Path) -> None:
    def stays_of_a_machine_that_kills() -> Iterator[IngestedStay]:
        for position, one in enumerate(open_source(records).stays()):
            if position == 20:
                for child in active_children():
                    child.kill()
            yield one

    with pytest.raises(ScoringFailed, match="process ended early"):
        list(predict_all(stays_of_a_machine_that_kills(), ["qsofa"], workers=2))


def test_stays_are_read_as_they_are_needed(records: Path) -> None:
    read: list[str] = []

    def counted() -> Iterator[IngestedStay]:
        for one in open_source(records).stays():
            read.append(one.stay.stay_id)
            yield one

    ((first,),) = islice(predict_all(counted(), ["qsofa"]), 1)
    assert first.stay_id == "p000000"
    assert len(read) < 40


def test_a_file_that_cannot_be_read_is_named_and_the_others_scored(records: Path, tmp_path: Path) -> None:
    (records / "p000003.psv").write_text("HR|Temp\n1|2\n")
    done = score_challenge(open_source(records), "qsofa", tmp_path / "out")
    assert done.stays == 39
    assert ["p000003.psv" in message for message in done.unreadable] == [True]


def test_a_table_that_was_not_finished_leaves_nothing(tmp_path: Path) -> None:
    def stop_halfway() -> None:
        with PredictionTable.writing(tmp_path / "table.parquet", 0.5) as table:
            table.add(predict(QSOFA(), ingested([1, 2])))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_halfway()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stay_id", ["../elsewhere", "ward/7", ".hidden", ""])
def test_a_stay_id_that_is_no_file_name_is_refused(stay_id: str, tmp_path: Path) -> None:
    value = np.array([0.5])
    prediction = StayPrediction(
        stay_id, "s", ADMITTED, np.array([1]), value, value, value, (PRESENT,), ("",), 0.0
    )
    with pytest.raises(InvalidInput, match="file name"):
        write_psv(prediction, 0.5, tmp_path)


def test_an_unknown_model_is_refused_before_anything_is_written(records: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownModel):
        score_challenge(open_source(records), "crystal-ball", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_ships_expects_sepsis_before_a_first_score_and_calls_nobody_septic() -> None:
    empty = IngestedStay(Stay("s", "subject", ADMITTED, empty_observations()), 0, hour=np.array([1, 2]))
    model = load("default")
    prediction = predict(model, empty)
    assert np.isnan(prediction.value).all()
    assert (prediction.probability > 0).all()
    assert not prediction.predicted(model.threshold).any()
