"""Tables of observations, as CSV or Parquet: long, one row an observation, or wide, one column a variable.

Long: `stay`, `time`, `variable` (catalogue name) or `code` (LOINC), `value`, `unit`; optionally `known_at`
(where it is empty the variable's lag is assumed), `identifier` (equal in all versions of one measurement, of
which the later known replaces the earlier), `status` (`entered-in-error` and its like withdraw, all others
stand) and `censored` ("<" or ">" where the value is a detection limit; `<0.01` as value says the same).
Wide: `stay`, `time`, optionally `known_at`, and a column such as `heart_rate [1/min]` for each variable; an
empty cell is none. Columns not named here are not read.

Times are ISO 8601 with an offset (or timestamps with a zone): a time without one is quarantined, because
guessing a zone moves observations by hours. What is known of the stays themselves stands in a sibling file,
`NAME.stays.csv` beside `NAME.csv` (or `.parquet`), with the column `stay` and any of `subject`,
`admitted_at`, `discharged_at`, `age_years`, `sex`, `care_unit`, `hospital_admitted_at`; what was done to them
in `NAME.interventions.csv` (`table_interventions`). A stay without `admitted_at` is admitted at the full hour
before its first observation.

A file whose rows are grouped by stay streams in the memory of one stay; any other is sorted on disk once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa  # type: ignore[import-untyped]

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Quarantined, Reason, cell_text, read_time
from models.clinical.stay import Sex, Stay
from models.clinical.variables import CATALOGUE
from pipelines.ingest.facts import PLAUSIBLE_AGE, Facts
from pipelines.ingest.readings import Reading, with_readings
from pipelines.ingest.source import IngestedStay, SetAside
from pipelines.ingest.table_interventions import TableInterventions, read_interventions
from pipelines.ingest.tables import ROW, TableFile, rows, sorted_by

SOURCE = "long_table"
_REQUIRED = ("stay", "time", "value", "unit")
_WIDE_COLUMNS = ("stay", "time", "known_at")
_NAMED_COLUMN = re.compile(r"\s*(\S.*?)\s*\[(.+)\]\s*")  # heart_rate [1/min]
_WITHDRAWING = frozenset({"entered-in-error", "cancelled", "withdrawn", "deleted", "wrong", "d", "w"})
_FACTS = (
    "stay", "subject", "admitted_at", "discharged_at", "age_years", "sex", "care_unit",
    "hospital_admitted_at", ROW,
)  # fmt: skip
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
    identifier: Any = None
    status: Any = None
    censored: Any = None


class LongTable:
    """A source of stays from one table; see `open_source`.

    `wide` has the variable and the unit of each column that holds values; it is empty for a long table.
    """

    def __init__(
        self,
        table: TableFile,
        stay_facts: dict[str, dict[str, Any]],
        interventions: TableFile | None,
        wide: Mapping[str, tuple[str, str]],
    ) -> None:
        self._table = table
        self._stay_facts = stay_facts
        self._interventions = interventions
        self._wide = wide
        read = (*_WIDE_COLUMNS, *wide) if wide else _Row._fields
        self._columns = [name for name in read if name in table.columns() and name != ROW]
        self._failures: list[UnreadableSource] = []
        self._set_aside: list[SetAside] = []
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
        """The interventions of the latest pass whose stay has no observation."""
        return tuple(self._set_aside)

    def stays(self) -> Iterator[IngestedStay]:
        """Every stay, in the order of the file, or by stay id if its rows are scattered."""
        self._failures, self._set_aside = [], []
        done = (
            TableInterventions() if self._interventions is None else read_interventions(self._interventions)
        )
        for stay, group in groupby(self._rows(), key=itemgetter(0)):
            if stay is None or stay == "":
                self._failures += [self._failure(f"row {row.row} has no stay") for row in group]
                continue
            try:
                yield self._ingested(str(stay), list(group), done)
            except UnreadableSource as failure:
                self._failures.append(failure)
        self._set_aside += [
            SetAside(Reason.UNKNOWN_STAY, "intervention", len(of_stay), f"stay {stay!r} has no observation")
            for stay, of_stay in done.rows.items()
        ]

    def _rows(self) -> Iterator[_Row]:
        batches = self._table.batches(self._columns)
        if not self._grouped:
            batches = sorted_by(batches, ["stay", ROW])
        if self._wide:
            return self._cells(batches)
        return map(_Row._make, rows(batches, _Row._fields))

    def _cells(self, batches: Iterator[pa.Table]) -> Iterator[_Row]:
        """The filled cells of a wide table as rows of a long one."""
        for stay, row, time, known_at, *cells in rows(
            batches, ("stay", ROW, "time", "known_at", *self._wide)
        ):
            for (variable, unit), cell in zip(self._wide.values(), cells, strict=True):
                if cell is not None:
                    yield _Row(stay, row, time, known_at, variable, None, cell, unit)

    def _ingested(self, stay_id: str, rows: list[_Row], done: TableInterventions) -> IngestedStay:
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
            discharged_at=facts.time("discharged_at", told.get("discharged_at"), place),
            source=SOURCE,
        )
        interventions, refused = done.take(stay_id)
        ingested = with_readings(
            replace(stay, interventions=interventions), list(map(_reading, rows)), tuple(facts.quarantined)
        )
        return replace(
            ingested,
            cells_read=ingested.cells_read + len(refused),
            quarantine=(
                *map(_with_suggestion, ingested.quarantine),
                *(replace(entry, stay_id=stay_id) for entry in refused),
            ),
        )

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
    """The stays of a .csv or .parquet table, with its `.stays` and `.interventions` siblings where they are.

    Raises UnreadableSource if a file is absent, empty or damaged, or lacks a column.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise UnreadableSource(f"{path}: expected a .csv or .parquet file")
    table = TableFile(path)
    wide = _wide_columns(path, table.columns())
    stays, interventions = (_sibling(path, name) for name in ("stays", "interventions"))
    return LongTable(table, _stay_facts(stays) if stays else {}, interventions, wide)


def _sibling(path: Path, name: str) -> TableFile | None:
    sibling = path.with_suffix(f".{name}{path.suffix}")
    return TableFile(sibling) if sibling.exists() else None


def _wide_columns(path: Path, columns: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Variable and unit of each column of a wide table; nothing for a long one.

    Raises UnreadableSource naming what is missing of either, and how to write it.
    """
    twice = [name for name, count in Counter(columns).items() if count > 1 and _is_read(name)]
    if twice:
        raise UnreadableSource(
            f"{path}: column {', '.join(twice)} stands twice; which of them holds is not said"
        )
    if len(columns) == 1 and (found_between := {";", "\t", "|"} & set(columns[0])):
        between = ", ".join(map(repr, sorted(found_between)))
        raise UnreadableSource(f"{path}: columns stand between {between}; expected commas: {columns[0][:80]}")
    missing = [column for column in _REQUIRED if column not in columns]
    if "variable" not in columns and "code" not in columns:
        missing.append("variable or code")
    if not missing:
        return {}
    wide = {name: (found[1], found[2]) for name in columns if (found := _NAMED_COLUMN.fullmatch(name))}
    unitless = [name for name in columns if name in CATALOGUE]
    if unitless:
        example = f"{unitless[0]} [{CATALOGUE[unitless[0]].unit}]"
        raise UnreadableSource(
            f"{path}: column {', '.join(unitless)} has no unit; name it such as {example!r}"
        )
    if wide and "stay" in columns and "time" in columns:
        return wide
    raise UnreadableSource(
        f"{path}: missing column {', '.join(missing)}; found {', '.join(columns)}. A table with one column a "
        "variable needs stay, time and names such as 'heart_rate [1/min]'"
    )


def _is_read(name: str) -> bool:
    return name in _Row._fields or _NAMED_COLUMN.fullmatch(name) is not None


def _reading(row: _Row) -> Reading:
    value, sign = row.value, str(row.censored or "").strip()
    if value is not None and not str(value).startswith(sign):  # a sign that is none spoils the number
        value = f"{sign}{value}"
    withdrawn = str(row.status or "").strip().casefold() in _WITHDRAWING
    code, identifier = str(row.variable or row.code or ""), str(row.identifier or "")
    return Reading(row.time, row.known_at, code, value, row.unit, row.row, identifier, withdrawn)


def _with_suggestion(entry: Quarantined) -> Quarantined:
    if entry.reason is not Reason.UNKNOWN_VARIABLE or not (close := _close_names(entry.variable)):
        return entry
    return replace(entry, detail=f"{entry.detail}. Did you mean {' or '.join(close)}?")


@lru_cache(maxsize=1024)  # bounded: names come from outside
def _close_names(name: str) -> tuple[str, ...]:
    """The catalogue names closest to a name that is not in it, by name, label or short name."""
    spellings = {
        spelling.casefold(): row.name
        for row in CATALOGUE.values()
        for spelling in (row.name, row.label, row.short)
    }
    folded = name.strip().casefold().replace(" ", "_")
    close = get_close_matches(folded, spellings, n=3) or get_close_matches(
        folded.replace("_", " "), spellings, n=3
    )
    return tuple(dict.fromkeys(spellings[spelling] for spelling in close))


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
