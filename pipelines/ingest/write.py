"""An ingested source as a folder of Parquet files; `layout` says what stands where.

Everything is written beside the folder under a hidden name, which takes the folder's place only when it is
complete: a run that was stopped leaves nothing that could be read as whole. Rows wait in memory until they
fill a row group, so what is held does not grow with the source.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from models.clinical.errors import InvalidInput
from pipelines.ingest.layout import (
    INTERVENTION_SCHEMA,
    INTERVENTIONS,
    OBSERVATION_SCHEMA,
    OBSERVATIONS,
    QUARANTINE,
    QUARANTINE_SCHEMA,
    RECORD,
    SHARDS,
    STAY_SCHEMA,
    STAYS,
    shard_of,
    shard_path,
)
from pipelines.ingest.record_table import RecordTable, quarantine_rows
from pipelines.ingest.source import IngestedStay

_ROWS_A_GROUP = 100_000
_FRAMES_HELD = 200  # a short table costs more as a frame than its rows do


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder to write to, which takes the place of `folder` when the block ends well.

    Only a folder that an ingest wrote, or an empty one, is replaced. Raises InvalidInput for any other, and
    where none can be made.
    """
    folder = folder.resolve()
    run = uuid4().hex[:12]  # not the process id: in a container a killed run and the next have the same
    unfinished = folder.with_name(f".{folder.name}.unfinished-{run}")
    try:
        _check_replaceable(folder)
        unfinished.mkdir(parents=True)
    except OSError as error:
        raise InvalidInput(
            f"{folder} cannot be made: {error.strerror}", value=str(folder), bound="a place to write"
        ) from error
    lock = os.open(unfinished, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # says that somebody is at work; a killed process lets go
        yield unfinished
        _take_place(unfinished, folder, folder.with_name(f".{folder.name}.replaced-{run}"))
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        os.close(lock)
    _discard_abandoned(folder)


class FolderWriter:
    """Appends stays to the tables of a folder; made by `writing`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stays = RecordTable(folder / STAYS, STAY_SCHEMA)
        self._quarantine = RecordTable(folder / QUARANTINE, QUARANTINE_SCHEMA)
        self._observations = _shards(folder, OBSERVATIONS, OBSERVATION_SCHEMA)
        self._interventions = _shards(folder, INTERVENTIONS, INTERVENTION_SCHEMA)

    @classmethod
    @contextmanager
    def writing(cls, folder: Path) -> Iterator[FolderWriter]:
        """A writer whose tables are complete when the block ends; `write_record` comes after that."""
        writer = cls(folder)
        try:
            yield writer
        finally:
            for table in writer._tables():
                table.close()

    def add(self, ingested: IngestedStay) -> None:
        """Append one stay with everything that was kept and set aside of it."""
        stay = ingested.stay
        shard = shard_of(stay.subject_id)
        self._stays.add([_stay_row(ingested, shard)])
        self._observations[shard].add(stay.stay_id, stay.subject_id, stay.observations)
        self._interventions[shard].add(stay.stay_id, stay.subject_id, stay.interventions)
        self._quarantine.add(quarantine_rows(ingested))

    def _tables(self) -> Iterable[RecordTable | _Frames]:
        return (self._stays, self._quarantine, *self._observations, *self._interventions)


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Say what the folder holds: its last file, without which it is not read."""
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / RECORD).write_text(text + "\n", encoding="utf-8")


class _Frames:
    """Tables of stays, one after the other, written in groups of rows."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._frames: list[tuple[str, str, pd.DataFrame]] = []
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def add(self, stay_id: str, subject_id: str, rows: pd.DataFrame) -> None:
        if rows.empty:
            return
        self._frames.append((stay_id, subject_id, rows))
        self._rows += len(rows)
        if len(self._frames) >= _FRAMES_HELD:
            self._pack()
        if self._rows >= _ROWS_A_GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _pack(self) -> None:
        if not self._frames:
            return
        owners = pd.DataFrame(
            [(stay, subject) for stay, subject, _ in self._frames], columns=["stay", "subject"], dtype="str"
        )
        repeated = owners.loc[owners.index.repeat([len(rows) for _, _, rows in self._frames])]
        joined = pd.concat([rows for _, _, rows in self._frames], ignore_index=True)
        frame = pd.concat([repeated.reset_index(drop=True), joined], axis=1)
        self._waiting.append(
            pa.Table.from_pandas(frame[self._schema.names], schema=self._schema, preserve_index=False)
        )
        self._frames = []

    def _flush(self) -> None:
        self._pack()
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=_ROWS_A_GROUP)
        self._waiting, self._rows = [], 0


def _shards(folder: Path, table: str, schema: pa.Schema) -> tuple[_Frames, ...]:
    return tuple(_Frames(folder / shard_path(table, shard), schema) for shard in range(SHARDS))


def _stay_row(ingested: IngestedStay, shard: int) -> dict[str, Any]:
    stay = ingested.stay
    return {
        "stay": stay.stay_id,
        "subject": stay.subject_id,
        "subject_shard": shard,
        "admitted_at": stay.admitted_at,
        "discharged_at": stay.discharged_at,
        "hospital_admitted_at": stay.hospital_admitted_at,
        "age_years": stay.age_years,
        "sex": stay.sex,
        "care_unit": stay.care_unit,
        "synthetic": stay.synthetic,
        "source": stay.source,
        "charting": ingested.charting,
        "diagnoses": list(ingested.diagnoses),
        "cells_read": ingested.cells_read,
        "observations": len(stay.observations),
        "interventions": len(stay.interventions),
        "quarantined": len(ingested.quarantine),
        "facts_quarantined": len(ingested.facts_quarantined),
        "converted": [
            {"variable": variable, "unit": unit, "n": count}
            for (variable, unit), count in ingested.converted.items()
        ],
        "lag_assumed": [{"variable": name, "n": count} for name, count in ingested.lag_assumed.items()],
        "hour": ingested.hour,
        "label": ingested.label,
    }


def _check_replaceable(folder: Path) -> None:
    if folder.is_dir() and ((folder / RECORD).is_file() or not any(folder.iterdir())):
        return
    if folder.exists():
        raise InvalidInput(
            f"{folder} holds something else: expected a new folder, an empty one, or an earlier ingest",
            value=str(folder),
            bound="a new or empty folder",
        )


def _take_place(unfinished: Path, folder: Path, replaced: Path) -> None:
    if folder.exists():
        folder.rename(replaced)
    unfinished.rename(folder)
    shutil.rmtree(replaced, ignore_errors=True)


def _discard_abandoned(folder: Path) -> None:
    """Remove what killed runs left beside the folder."""
    for kind in ("unfinished", "replaced"):
        for left in folder.parent.glob(f".{escape(folder.name)}.{kind}-*"):
            lock = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            except BlockingIOError:
                continue  # another run is at work there
            finally:
                os.close(lock)
