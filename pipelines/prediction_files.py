"""Predictions as files: one table with the truth of every hour, and the challenge's PSV, one a stay; beside
them what was set aside of the stays, value by value.

A file appears under its name when it is complete, never before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.csv  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from models import registry
from models.base import EarlyWarningModel
from models.clinical.errors import InvalidInput
from pipelines.ingest.layout import QUARANTINE, QUARANTINE_SCHEMA
from pipelines.ingest.record_table import RecordTable, quarantine_rows
from pipelines.ingest.source import IngestedStay, IngestSummary, Source
from pipelines.predictions import Progress, StayPrediction, predict_all

PSV_HEADER = "PredictedProbability|PredictedLabel"
TABLE_NAME = "predictions.parquet"
CSV_NAME = "predictions.csv"

# value is null exactly where status is not present; low and high also where the model states no spread;
# probability and predicted are what the PSV says
SCHEMA = pa.schema(
    [
        ("stay_id", pa.string()),
        ("subject_id", pa.string()),
        ("hour", pa.int64()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("probability", pa.float64()),
        ("predicted", pa.int8()),
        ("label", pa.int8()),
        ("care_unit", pa.string()),
    ]
)
# what `score_source` writes: value, low and high as above
SCORE_SCHEMA = pa.schema(
    [
        ("stay", pa.string()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("hour", pa.int64()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("subject", pa.string()),
        ("care_unit", pa.string()),
    ]
)
_ROWS_A_GROUP = 50_000

Predictions = Sequence[StayPrediction]


@dataclass(frozen=True)
class ScoredSource:
    """What scoring a source did: counts, and one message for each stay that could not be read."""

    model: str
    version: str
    threshold: float
    stays: int
    hours: int
    hours_with_score: int
    ingest: IngestSummary
    unreadable: tuple[str, ...]


def score_source(
    source: Source, model: str | Path, out: Path, *, workers: int = 1, progress: Progress | None = None
) -> ScoredSource:
    """Write the score of every hour of every stay of `source` as `predictions.parquet` and `.csv` in `out`.

    Columns: those of `SCORE_SCHEMA`. What was set aside is `quarantine.parquet` there. Raises UnknownModel.
    """
    loaded = registry.load(model)
    out.mkdir(parents=True, exist_ok=True)
    with (
        replacing(out / TABLE_NAME) as table,
        replacing(out / CSV_NAME) as text,
        pq.ParquetWriter(table, SCORE_SCHEMA, compression="zstd") as parquet,
        pa.csv.CSVWriter(text, SCORE_SCHEMA) as csv,
    ):

        def write(stays: Predictions) -> None:
            rows = _score_rows(stays)
            parquet.write_table(rows)
            csv.write_table(rows)

        waiting = _Waiting(write)
        done = _score(source, loaded, model, waiting.add, out, workers=workers, progress=progress)
        waiting.flush()
    return done


def score_challenge(
    source: Source, model: str | Path, out: Path, *, workers: int = 1, progress: Progress | None = None
) -> ScoredSource:
    """Write `<stay>.psv` for every stay of `source` into `out`, `predictions.parquet` beside them.

    What was set aside is `quarantine.parquet` there. A PSV has one row an input row. Raises UnknownModel, and
    InvalidInput for a stay id that is no file name.
    """
    loaded = registry.load(model)
    out.mkdir(parents=True, exist_ok=True)
    with PredictionTable.writing(out / TABLE_NAME, loaded.threshold) as table:

        def keep(prediction: StayPrediction) -> None:
            write_psv(prediction, loaded.threshold, out)
            table.add(prediction)

        return _score(source, loaded, model, keep, out, workers=workers, progress=progress)


def _score(
    source: Source,
    loaded: EarlyWarningModel,
    model: str | Path,
    keep: Callable[[StayPrediction], object],
    out: Path,
    *,
    workers: int,
    progress: Progress | None,
) -> ScoredSource:
    ingest = IngestSummary()
    hours = with_score = 0
    with _noting_quarantine(ingest.counting_all(source), out / QUARANTINE) as stays:
        for (prediction,) in predict_all(stays, [model], workers=workers, progress=progress):
            keep(prediction)
            hours += len(prediction.hour)
            with_score += int(np.isfinite(prediction.value).sum())
    unreadable = tuple(str(failure) for failure in source.failures)
    return ScoredSource(
        loaded.name, loaded.version, loaded.threshold, ingest.stays, hours, with_score, ingest, unreadable
    )


@contextmanager
def _noting_quarantine(stays: Iterable[IngestedStay], path: Path) -> Iterator[Iterator[IngestedStay]]:
    """The same stays; what was set aside of them, each with its row and why, is at `path` at the end."""
    with replacing(path) as unfinished:
        table = RecordTable(unfinished, QUARANTINE_SCHEMA)

        def noted() -> Iterator[IngestedStay]:
            for ingested in stays:
                table.add(quarantine_rows(ingested))
                yield ingested

        try:
            yield noted()
        finally:
            table.close()


def write_psv(prediction: StayPrediction, threshold: float, folder: Path) -> Path:
    """Write the challenge's file of one stay and return its path.

    Numbers are written in full, so that metrics of the files equal metrics of the scores.
    """
    if PurePath(prediction.stay_id).name != prediction.stay_id or prediction.stay_id[:1] in ("", "."):
        raise InvalidInput(
            f"stay id {prediction.stay_id!r} cannot be a file name",
            value=prediction.stay_id,
            bound="a file name",
        )
    rows = zip(prediction.probability.tolist(), prediction.predicted(threshold).tolist(), strict=True)
    lines = [PSV_HEADER, *(f"{probability!r}|{predicted}" for probability, predicted in rows)]
    path = folder / f"{prediction.stay_id}.psv"
    with replacing(path) as unfinished:
        unfinished.write_text("\n".join(lines) + "\n", encoding="ascii")
    return path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A hidden path to write to, which takes the place of `path` when the block ends well."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


class _Waiting:
    """Predictions of few rows, handed on together when they are many: a table of each would cost more."""

    def __init__(self, write: Callable[[Predictions], object]) -> None:
        self._write = write
        self._predictions: list[StayPrediction] = []
        self._rows = 0

    def add(self, prediction: StayPrediction) -> None:
        self._predictions.append(prediction)
        self._rows += len(prediction.hour)
        if self._rows >= _ROWS_A_GROUP:
            self.flush()

    def flush(self) -> None:
        if self._predictions:
            self._write(self._predictions)
        self._predictions, self._rows = [], 0


class PredictionTable:
    """Appends predictions to a Parquet file in groups of rows; made by `writing`."""

    def __init__(self, waiting: _Waiting) -> None:
        self._waiting = waiting

    @classmethod
    @contextmanager
    def writing(cls, path: Path, threshold: float) -> Iterator[PredictionTable]:
        """A table that is at `path`, complete, when the block ends well."""
        with (
            replacing(path) as unfinished,
            pq.ParquetWriter(unfinished, SCHEMA, compression="zstd") as writer,
        ):
            waiting = _Waiting(lambda stays: writer.write_table(prediction_rows(stays, threshold)))
            yield cls(waiting)
            waiting.flush()

    def add(self, prediction: StayPrediction) -> None:
        """Append the rows of one stay."""
        self._waiting.add(prediction)


def prediction_rows(stays: Predictions, threshold: float) -> pa.Table:
    """At least one stay in `SCHEMA`; a row is predicted positive from `threshold` on."""
    columns = {
        "stay_id": _each_row(stays, [one.stay_id for one in stays]),
        "subject_id": _each_row(stays, [one.subject_id for one in stays]),
        **_score_columns(stays),
        "probability": np.concatenate([one.probability for one in stays]),
        "predicted": np.concatenate([one.predicted(threshold) for one in stays]),
        "label": pa.concat_arrays([_label(one) for one in stays]),
        "care_unit": _each_row(stays, [one.care_unit for one in stays]),
    }
    return pa.table(columns, schema=SCHEMA)


def _score_rows(stays: Predictions) -> pa.Table:
    times = [
        np.datetime64(one.admitted_at.astimezone(UTC).replace(tzinfo=None), "us")
        + one.hour.astype("timedelta64[h]")
        for one in stays
    ]
    columns = {
        "stay": _each_row(stays, [one.stay_id for one in stays]),
        "time": np.concatenate(times),
        **_score_columns(stays),
        "subject": _each_row(stays, [one.subject_id for one in stays]),
        "care_unit": _each_row(stays, [one.care_unit for one in stays]),
    }
    return pa.table(columns, schema=SCORE_SCHEMA)


def _score_columns(stays: Predictions) -> dict[str, Any]:
    """Hour, value and spread, NaN become null, status and reason."""
    sides = {
        "value": [one.value for one in stays],
        "low": [one.low for one in stays],
        "high": [one.high for one in stays],
    }
    return {
        "hour": np.concatenate([one.hour for one in stays]),
        **{name: pa.array(np.concatenate(side), from_pandas=True) for name, side in sides.items()},
        "status": [str(status) for one in stays for status in one.status],
        "reason": [reason for one in stays for reason in one.reason],
    }


def _each_row(stays: Predictions, told: Sequence[str | None]) -> pa.Array:
    """What is told of each stay, in every row of it."""
    return pa.array(told, pa.string()).take(
        np.repeat(np.arange(len(stays)), [len(one.hour) for one in stays])
    )


def _label(one: StayPrediction) -> pa.Array:
    return pa.nulls(len(one.hour), pa.int8()) if one.label is None else pa.array(one.label, pa.int8())
