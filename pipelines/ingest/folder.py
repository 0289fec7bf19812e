"""The source `ingested`: the stays of a folder that an ingest wrote, as they were, bit for bit.

Stays come in the order they were ingested. Each shard is read forward once, some thousand rows at a time, so
what is held does not grow with the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from models.clinical.errors import UnreadableSource
from models.clinical.interventions import INTERVENTION_COLUMNS, empty_interventions
from models.clinical.quarantine import Quarantined, Reason
from models.clinical.stay import OBSERVATION_COLUMNS, Stay, empty_observations
from pipelines.ingest.layout import (
    FORMAT,
    INTERVENTIONS,
    OBSERVATIONS,
    QUARANTINE,
    RECORD,
    SHARDS,
    STAYS,
    shard_path,
)
from pipelines.ingest.source import IngestedStay, SetAside

_BATCH_ROWS = 32_768
_HOURLY = ("hour", "label")
_QUARANTINE_COLUMNS = (
    "reason",
    "detail",
    "row",
    "named_stay",
    "variable",
    "value_number",
    "value_text",
    "bound",
    "unit",
)


class IngestedFolder:
    """A source of stays that were ingested before; see `open_source`."""

    def __init__(self, folder: Path, record: Mapping[str, Any]) -> None:
        self._folder = folder
        self._record = record

    @property
    def name(self) -> str:
        """The folder that was opened."""
        return str(self._folder)

    @property
    def stay_count(self) -> int:
        """How many stays the folder holds."""
        return int(self._record["counts"]["stays"])

    @property
    def failures(self) -> Sequence[UnreadableSource]:
        """What could not be read when the folder was ingested: it is not in the folder."""
        return tuple(UnreadableSource(sentence) for sentence in self._record["failures"])

    @property
    def set_aside(self) -> Sequence[SetAside]:
        """The rows that belonged to no stay or no variable when the folder was ingested."""
        return tuple(
            SetAside(Reason(rows["reason"]), rows["code"], rows["count"], rows["example"])
            for rows in self._record["set_aside"]
        )

    def stays(self) -> Iterator[IngestedStay]:
        """Every stay. Raises UnreadableSource for a file that is missing, damaged or of another ingest."""
        try:
            yield from self._stays()
        except (pa.ArrowException, OSError) as error:
            raise UnreadableSource(f"{self.name}: expected the files of one ingest, but {error}") from error

    def _stays(self) -> Iterator[IngestedStay]:
        observations = self._shards(OBSERVATIONS, OBSERVATION_COLUMNS)
        interventions = self._shards(INTERVENTIONS, INTERVENTION_COLUMNS)
        quarantine = _Rows(self._folder / QUARANTINE, _QUARANTINE_COLUMNS)
        for row in _stay_rows(self._folder / STAYS):
            shard, stay_id = row["subject_shard"], row["stay"]
            seen, done = row["observations"], row["interventions"]
            aside, told = (
                _quarantined(quarantine.take(stay_id, row[name])) if row[name] else ()
                for name in ("quarantined", "facts_quarantined")
            )
            yield _ingested(
                row,
                observations[shard].take(stay_id, seen) if seen else empty_observations(),
                interventions[shard].take(stay_id, done) if done else empty_interventions(),
                aside,
                told,
            )

    def _shards(self, table: str, columns: Sequence[str]) -> list[_Rows]:
        return [_Rows(self._folder / shard_path(table, shard), columns) for shard in range(SHARDS)]


def open_source(path: Path) -> IngestedFolder:
    """The stays of a folder that an ingest completed.

    Raises UnreadableSource if it is none, or one of another format.
    """
    record = Path(path) / RECORD
    try:
        held = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableSource(f"{path}: no folder of a completed ingest (no readable {RECORD})") from error
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        raise UnreadableSource(f"{record}: expected an ingest of format {FORMAT}; ingest the source again")
    return IngestedFolder(Path(path), held)


class _Rows:
    """The rows of one Parquet file, in their order, as frames of as many rows as are asked for."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._columns = list(columns)
        self._batches = self._read()
        self._owner: pa.Array = pa.array([], pa.string())
        self._batch = pd.DataFrame()
        self._at = 0

    def take(self, stay_id: str, count: int) -> pd.DataFrame:
        """The next `count` rows, which belong to that stay. Raises UnreadableSource if they do not."""
        parts: list[pd.DataFrame] = []
        while count:
            if self._at == len(self._batch):
                self._next_batch(stay_id)
            part = self._batch.iloc[self._at : self._at + count]
            first, last = (self._owner[self._at + place].as_py() for place in (0, len(part) - 1))
            if not first == last == stay_id:
                raise UnreadableSource(f"{self._path}: rows of stay {first} where those of {stay_id} belong")
            parts.append(part)
            self._at += len(part)
            count -= len(part)
        return parts[0].reset_index(drop=True) if len(parts) == 1 else pd.concat(parts, ignore_index=True)

    def _next_batch(self, stay_id: str) -> None:
        found = next(self._batches, None)
        if found is None:
            raise UnreadableSource(f"{self._path}: ends before the rows of stay {stay_id}")
        self._owner, self._batch = found
        self._at = 0

    def _read(self) -> Iterator[tuple[pa.Array, pd.DataFrame]]:
        with pq.ParquetFile(self._path, pre_buffer=False) as file:  # else it keeps what it has read
            for batch in file.iter_batches(_BATCH_ROWS, columns=["stay", *self._columns]):
                yield batch.column("stay"), batch.select(self._columns).to_pandas()


def _stay_rows(path: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(_BATCH_ROWS // 16):
            hourly = [batch.column(name) for name in _HOURLY]
            plain = batch.select([name for name in batch.schema.names if name not in _HOURLY])
            for place, row in enumerate(plain.to_pylist()):
                yield row | {
                    name: None if not column[place].is_valid else column[place].values.to_numpy()
                    for name, column in zip(_HOURLY, hourly, strict=True)
                }


def _ingested(
    row: Mapping[str, Any],
    observations: pd.DataFrame,
    interventions: pd.DataFrame,
    quarantine: tuple[Quarantined, ...],
    facts_quarantined: tuple[Quarantined, ...],
) -> IngestedStay:
    stay = Stay(
        stay_id=row["stay"],
        subject_id=row["subject"],
        admitted_at=row["admitted_at"].astimezone(UTC),
        observations=observations,
        age_years=row["age_years"],
        sex=row["sex"],
        care_unit=row["care_unit"],
        hospital_admitted_at=_time(row["hospital_admitted_at"]),
        discharged_at=_time(row["discharged_at"]),
        interventions=interventions,
        synthetic=row["synthetic"],
        source=row["source"],
    )
    return IngestedStay(
        stay,
        row["cells_read"],
        quarantine,
        facts_quarantined,
        converted={(one["variable"], one["unit"]): one["n"] for one in row["converted"]},
        lag_assumed={one["variable"]: one["n"] for one in row["lag_assumed"]},
        hour=row["hour"],
        label=row["label"],
        diagnoses=tuple(row["diagnoses"]),
        charting=row["charting"],
    )


def _time(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(UTC)


def _quarantined(rows: pd.DataFrame) -> tuple[Quarantined, ...]:
    return tuple(
        Quarantined(
            Reason(reason),
            detail,
            None if np.isnan(row) else int(row),
            named_stay,
            variable,
            (None if pd.isna(text) else text) if np.isnan(number) else number,
            bound,
            unit,
        )
        for reason, detail, row, named_stay, variable, number, text, bound, unit in rows.itertuples(
            index=False, name=None
        )
    )
