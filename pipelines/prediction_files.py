"""Predictions as files: the challenge's PSV, one a stay, and one Parquet table with the truth of every hour.

A file appears under its name when it is complete, never before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from models import registry
from models.clinical.errors import InvalidInput
from pipelines.ingest.source import IngestSummary, Source
from pipelines.predictions import Progress, StayPrediction, predict_all

PSV_HEADER = "PredictedProbability|PredictedLabel"
TABLE_NAME = "predictions.parquet"

# value is null exactly where status is not present; probability and predicted are what the PSV says
SCHEMA = pa.schema(
    [
        ("stay_id", pa.string()),
        ("subject_id", pa.string()),
        ("hour", pa.int64()),
        ("value", pa.float64()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("probability", pa.float64()),
        ("predicted", pa.int8()),
        ("label", pa.int8()),
    ]
)
_ROWS_A_GROUP = 50_000


@dataclass(frozen=True)
class ScoredSource:
    """What `score_source` did: counts, and one message for each stay that could not be read."""

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
    """Write `<stay>.psv` for every stay of `source` into `out`, and `predictions.parquet` beside them.

    A PSV has one row an input row. Raises UnknownModel, and InvalidInput for a stay id that is no file name.
    """
    loaded = registry.load(model)
    out.mkdir(parents=True, exist_ok=True)
    ingest = IngestSummary()
    hours = with_score = 0
    with PredictionTable.writing(out / TABLE_NAME, loaded.threshold) as table:
        stays = ingest.counting_all(source)
        for (prediction,) in predict_all(stays, [model], workers=workers, progress=progress):
            write_psv(prediction, loaded.threshold, out)
            table.add(prediction)
            hours += len(prediction.hour)
            with_score += int(np.isfinite(prediction.value).sum())
    unreadable = tuple(str(failure) for failure in source.failures)
    return ScoredSource(
        loaded.name, loaded.version, loaded.threshold, ingest.stays, hours, with_score, ingest, unreadable
    )


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


class PredictionTable:
    """Appends predictions to a Parquet file in groups of rows; made by `writing`."""

    def __init__(self, writer: pq.ParquetWriter, threshold: float) -> None:
        self._writer = writer
        self._threshold = threshold
        self._waiting: list[StayPrediction] = []
        self._rows = 0

    @classmethod
    @contextmanager
    def writing(cls, path: Path, threshold: float) -> Iterator[PredictionTable]:
        """A table that is at `path`, complete, when the block ends well."""
        with (
            replacing(path) as unfinished,
            pq.ParquetWriter(unfinished, SCHEMA, compression="zstd") as writer,
        ):
            table = cls(writer, threshold)
            yield table
            table._flush()

    def add(self, prediction: StayPrediction) -> None:
        """Append the rows of one stay."""
        self._waiting.append(prediction)
        self._rows += len(prediction.hour)
        if self._rows >= _ROWS_A_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._arrow(one) for one in self._waiting))
        self._waiting, self._rows = [], 0

    def _arrow(self, one: StayPrediction) -> pa.Table:
        rows = len(one.hour)
        columns: dict[str, Any] = {
            "stay_id": [one.stay_id] * rows,
            "subject_id": [one.subject_id] * rows,
            "hour": one.hour,
            "value": pa.array(one.value, from_pandas=True),  # NaN becomes null
            "status": [str(status) for status in one.status],
            "reason": list(one.reason),
            "probability": one.probability,
            "predicted": one.predicted(self._threshold),
            "label": pa.nulls(rows, pa.int8()) if one.label is None else one.label,
        }
        return pa.table(columns, schema=SCHEMA)
