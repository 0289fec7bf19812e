"""Rows of patients staged on disk and read back a patient at a time, however scattered they came.

The files name patients and encounters in any order and under any of their keys, so rows are written as they
come and DuckDB sorts them, out of core, once it is known which keys mean the same patient.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]

_SCHEMA = pa.schema(
    [
        ("patient", pa.string()),
        ("encounter", pa.string()),
        ("number", pa.int64()),
        ("kind", pa.string()),
        ("content", pa.string()),
        ("name", pa.string()),
    ]
)
_BATCH_ROWS = 20_000
_MEMORY = "512MB"


class StagedRow(NamedTuple):
    """One row of a patient; `number` counts the rows of the source, `content` is what was staged."""

    encounter: str
    number: int
    kind: str
    content: list[Any]


class Staging:
    """A Parquet file of rows in `folder`: `add` them all, then read `by_patient` once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer = pa.parquet.ParquetWriter(self._file, _SCHEMA, compression="zstd")
        self._held: list[tuple[str, str, int, str, str, str]] = []
        self._rows = 0

    @property
    def _file(self) -> Path:
        return self._folder / "rows.parquet"

    def add(self, kind: str, patient: str, encounter: str, content: Sequence[Any], name: str = "") -> None:
        """Stage one row: its patient and encounter by any key, "" where it names none.

        A row that names neither goes to the patient of another row of its `name`, where there is one.
        """
        self._held.append((patient, encounter, self._rows, kind, json.dumps(content), name))
        self._rows += 1
        if len(self._held) == _BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        columns = zip(*self._held, strict=True) if self._held else ([] for _ in _SCHEMA)
        self._writer.write_table(
            pa.table(
                [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)],
                _SCHEMA,
            )
        )
        self._held.clear()

    def by_patient(
        self, patient_of: Mapping[str, str], patient_of_encounter: Mapping[str, str]
    ) -> Iterator[tuple[str, list[StagedRow]]]:
        """Each patient with its rows in the order they came; a row of no known patient goes by encounter."""
        self._flush()
        self._writer.close()
        connection = duckdb.connect(str(self._folder / "sorted.duckdb"))
        try:
            connection.execute(f"SET memory_limit = '{_MEMORY}'")
            connection.execute("SET threads = 1")
            connection.execute("SET enable_progress_bar = false")
            _register(connection, "patients", patient_of)
            _register(connection, "encounters", patient_of_encounter)
            found = connection.sql(_SORTED, params={"file": str(self._file)}).to_arrow_reader(_BATCH_ROWS)
            rows = (row for batch in found for row in _tuples(batch))
            for patient, group in groupby(rows, key=itemgetter(0)):
                yield patient, [StagedRow(row[1], row[2], row[3], json.loads(row[4])) for row in group]
        finally:
            connection.close()


_SORTED = """
WITH staged AS (FROM read_parquet($file)),
orphan AS (SELECT DISTINCT name FROM staged WHERE name <> '' AND patient = '' AND encounter = ''),
kin AS (
    SELECT name, min(patient) AS patient, min(encounter) AS encounter
    FROM staged SEMI JOIN orphan USING (name)
    WHERE patient <> '' OR encounter <> ''
    GROUP BY name
),
placed AS (
    SELECT coalesce(k.patient, r.patient) AS patient, coalesce(k.encounter, r.encounter) AS encounter,
           r.number, r.kind, r.content
    FROM staged r LEFT JOIN kin k ON k.name = r.name AND r.patient = '' AND r.encounter = ''
)
SELECT coalesce(p.patient, e.patient, r.patient), r.encounter, r.number, r.kind, r.content
FROM placed r
LEFT JOIN patients p ON p.key = r.patient
LEFT JOIN encounters e ON e.key = r.encounter
ORDER BY 1, r.number
"""


def _register(connection: duckdb.DuckDBPyConnection, name: str, patient_of: Mapping[str, str]) -> None:
    table = pa.table(
        {
            "key": pa.array(list(patient_of), pa.string()),
            "patient": pa.array(list(patient_of.values()), pa.string()),
        }
    )
    connection.register(name, table)


def _tuples(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)
