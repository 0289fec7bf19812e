"""Long tables: one row an observation, as CSV or Parquet.

Columns: `stay`, `time`, `variable` (catalogue name) or `code` (LOINC), `value`, `unit`; optionally
`known_at`, which defaults to `time` where it is absent or empty. Times are ISO 8601 with an offset (or
timestamps with a zone): a time without one is quarantined, because guessing a zone moves observations by
hours. What is known of the stays themselves stands in a sibling file, `NAME.stays.csv` beside `NAME.csv` (or
`.parquet`), with the column `stay` and any of `subject`, `admitted_at`, `age_years`, `sex`, `care_unit`,
`hospital_admitted_at`. A stay without `admitted_at` is admitted at the full hour before its first
observation. Other columns are not read.

A file whose rows are grouped by stay streams in the memory of one stay; any other is sorted in memory once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import (
    cell_text,
    read_time,
)
from models.clinical.stay import Sex, Stay
from pipelines.ingest.facts import PLAUSIBLE_AGE, Facts
from pipelines.ingest.readings import Reading, with_readings
from pipelines.ingest.source import IngestedStay, SetAside
from pipelines.ingest.tables import ROW, TableFile, rows, sorted_by

SOURCE = "long_table"
_REQUIRED = ("stay", "time", "value", "unit")
_FACTS = ("stay", "subject", "admitted_at", "age_years", "sex", "care_unit", "hospital_admitted_at", ROW)
_SEXES: MappingProxyType[str, Sex] = MappingProxyType(
    {"female": "female", "male": "male", "f": "female", "m": "male"}
)


class _Row(NamedTuple):
    stay: Any
    row: int
    time: Any
    known_at: Any
    variable: Any
    code: Any
    value: Any
    unit: Any


class LongTable:
    """A source of stays from one long table; see `open_source`."""

    def __init__(self, table: TableFile, stay_facts: dict[str, dict[str, Any]]) -> None:
        self._table = table
        self._stay_facts = stay_facts
        self._columns = [name for name in _Row._fields if name in table.columns() and name != ROW]
        self._failures: list[UnreadableSource] = []
        self._stay_count, self._grouped = _layout(table)

    @property
    def name(self) -> str:
        """The path that was opened."""
        return str(self._table.path)

    @property
    def stay_count(self) -> int:
        """How many stays the rows name."""
        return self._stay_count

    @property
    def failures(self) -> Sequence[UnreadableSource]:
        """Rows of the wrong width or without a stay, and stays without any readable time."""
        return (*self._failures, *self._table.broken_rows)

    @property
    def set_aside(self) -> Sequence[SetAside]:
        """Nothing: every row belongs to a stay."""
        return ()

    def stays(self) -> Iterator[IngestedStay]:
        """Every stay, in the order of the file, or by stay id if its rows are scattered."""
        self._failures = []
        for stay, group in groupby(self._rows(), key=itemgetter(0)):
            if stay is None or stay == "":
                self._failures += [self._failure(f"row {row.row} has no stay") for row in group]
                continue
            try:
                yield self._ingested(str(stay), list(group))
            except UnreadableSource as failure:
                self._failures.append(failure)

    def _rows(self) -> Iterator[_Row]:
        batches = self._table.batches(self._columns)
        if not self._grouped:
            batches = sorted_by(batches, ["stay", ROW])
        return map(_Row._make, rows(batches, _Row._fields))

    def _ingested(self, stay_id: str, rows: list[_Row]) -> IngestedStay:
        facts, told = Facts(stay_id), self._stay_facts.get(stay_id, {})
        place = told.get(ROW, 0)
        stay = Stay(
            stay_id,
            subject_id=str(told.get("subject") or stay_id),
            admitted_at=facts.time("admitted_at", told.get("admitted_at"), place) or self._first_hour(rows),
            age_years=facts.number("age_years", told.get("age_years"), PLAUSIBLE_AGE, "years", place),
            sex=facts.choice("sex", told.get("sex"), _SEXES, place),
            care_unit=None if told.get("care_unit") is None else str(told["care_unit"]),
            hospital_admitted_at=facts.time("hospital_admitted_at", told.get("hospital_admitted_at"), place),
            source=SOURCE,
        )
        readings = [
            Reading(row.time, row.known_at, str(row.variable or row.code or ""), row.value, row.unit, row.row)
            for row in rows
        ]
        return with_readings(stay, readings, tuple(facts.quarantined))

    def _first_hour(self, rows: list[_Row]) -> datetime:
        times = [time for row in rows if (time := read_time(row.time)) is not None and time.tzinfo]
        if not times:
            raise self._failure(
                f"stay {rows[0].stay}: none of its {len(rows)} rows has a time with an offset, such as "
                f"2026-01-01T08:00:00Z; row {rows[0].row} has {cell_text(rows[0].time)}"
            )
        return min(times).replace(minute=0, second=0, microsecond=0)

    def _failure(self, fault: str) -> UnreadableSource:
        return UnreadableSource(f"{self.name}: {fault}")


def open_source(path: Path) -> LongTable:
    """The stays of a .csv or .parquet long table, with the facts of its `.stays` sibling where there is one.

    Raises UnreadableSource if a file is absent, empty or damaged, or lacks a column.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise UnreadableSource(f"{path}: expected a .csv or .parquet file")
    table = TableFile(path)
    columns = table.columns()
    missing = [column for column in _REQUIRED if column not in columns]
    if "variable" not in columns and "code" not in columns:
        missing.append("variable or code")
    if missing:
        raise UnreadableSource(f"{path}: missing column {', '.join(missing)}; found {', '.join(columns)}")
    sibling = path.with_suffix(f".stays{path.suffix}")
    return LongTable(table, _stay_facts(TableFile(sibling)) if sibling.exists() else {})


def _layout(table: TableFile) -> tuple[int, bool]:
    """How many stays there are, and whether the rows of each stand together."""
    runs, seen = 0, set()
    for stay, _ in groupby(row[0] for row in rows(table.batches(["stay"]), ["stay"])):
        if stay is not None and stay != "":
            runs += 1
            seen.add(stay)
    return len(seen), runs == len(seen)


def _stay_facts(table: TableFile) -> dict[str, dict[str, Any]]:
    columns = table.columns()
    if "stay" not in columns:
        raise UnreadableSource(f"{table.path}: missing column stay; found {', '.join(columns)}")
    found: dict[str, dict[str, Any]] = {}
    for row in rows(table.batches([name for name in _FACTS if name in columns]), _FACTS):
        told = dict(zip(_FACTS, row, strict=True))
        stay_id = str(told["stay"])
        if stay_id in found:
            raise UnreadableSource(f"{table.path}: row {told[ROW]} describes stay {stay_id} a second time")
        found[stay_id] = told
    if table.broken_rows:
        raise table.broken_rows[0]
    return found
