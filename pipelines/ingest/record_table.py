"""Rows given as mappings, written to a Parquet file in groups; and what a stay's quarantine has for rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from models.clinical.quarantine import Quarantined
from pipelines.ingest.source import IngestedStay

_ROWS_A_GROUP = 10_000


class RecordTable:
    """Appends rows of `schema` to the file at `path`, which is complete after `close`."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._waiting: list[dict[str, Any]] = []

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Append rows; they wait in memory until they fill a group."""
        self._waiting += rows
        if len(self._waiting) >= _ROWS_A_GROUP:
            self._flush()

    def close(self) -> None:
        """Write what waits, and the end of the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_pylist(self._waiting, schema=self._schema))
        self._waiting = []


def quarantine_rows(ingested: IngestedStay) -> Iterator[dict[str, Any]]:
    """A row of `QUARANTINE_SCHEMA` for everything that was set aside of a stay."""
    for fact, entries in ((False, ingested.quarantine), (True, ingested.facts_quarantined)):
        for entry in entries:
            yield _row(ingested.stay.stay_id, ingested.stay.subject_id, fact, entry)


def _row(stay_id: str, subject_id: str, fact: bool, entry: Quarantined) -> dict[str, Any]:
    number = isinstance(entry.value, int | float)
    return {
        "stay": stay_id,
        "subject": subject_id,
        "fact": fact,
        "reason": str(entry.reason),
        "variable": entry.variable,
        "value_number": entry.value if number else None,
        "value_text": None if number else entry.value,
        "unit": entry.unit,
        "bound": entry.bound,
        "detail": entry.detail,
        "row": entry.row,
        "named_stay": entry.stay_id,
    }
