"""Interventions beside a long table, so that a hospital can label its own stays.

`NAME.interventions.csv` or `.parquet` beside `NAME`: one row a thing done, with the columns `stay`, `start`
and `kind` (an InterventionKind), and any of `end` (else it has no duration), `rate` with its `unit`, `agent`.
Rates are those of vasoactive drugs, by body weight; vasopressin has units a minute. All rows are held in
memory: a stay has some tens of them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from models.clinical.errors import UnreadableSource
from models.clinical.interventions import InterventionKind, intervention_table
from models.clinical.quarantine import Quarantined, Reason, as_json, cell_text, read_number, read_time
from pipelines.ingest.tables import TableFile, rows

_REQUIRED = ("stay", "start", "kind")
_KINDS = frozenset(InterventionKind)

# folded unit -> factor to ug/kg/min, and to U/min for vasopressin
_BY_WEIGHT: Mapping[str, float] = MappingProxyType(
    {
        "ug/kg/min": 1,
        "mcg/kg/min": 1,
        "ng/kg/min": 1e-3,
        "mg/kg/min": 1e3,
        "ug/kg/h": 1 / 60,
        "mcg/kg/h": 1 / 60,
    }
)
_UNITS_A_MINUTE: Mapping[str, float] = MappingProxyType(
    {"u/min": 1, "units/min": 1, "iu/min": 1, "u/h": 1 / 60, "units/h": 1 / 60, "iu/h": 1 / 60}
)
_RATE_UNITS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        InterventionKind.NOREPINEPHRINE: _BY_WEIGHT,
        InterventionKind.EPINEPHRINE: _BY_WEIGHT,
        InterventionKind.DOPAMINE: _BY_WEIGHT,
        InterventionKind.DOBUTAMINE: _BY_WEIGHT,
        InterventionKind.PHENYLEPHRINE: _BY_WEIGHT,
        InterventionKind.VASOPRESSIN: _UNITS_A_MINUTE,
    }
)


class _Row(NamedTuple):
    stay: Any
    row: int
    start: Any
    end: Any
    kind: Any
    rate: Any
    unit: Any
    agent: Any


class _Done(NamedTuple):
    start: datetime
    end: datetime
    kind: str
    rate: float
    agent: str


@dataclass
class TableInterventions:
    """The rows of an interventions file by stay; what `take` does not ask for stays in `rows`."""

    rows: dict[str, list[_Row]] = field(default_factory=dict)

    def take(self, stay_id: str) -> tuple[pd.DataFrame, list[Quarantined]]:
        """The interventions of a stay, once, and its rows that are none."""
        done: dict[_Done, None] = {}
        refused = []
        for row in self.rows.pop(stay_id, []):
            found = _judged(row)
            if isinstance(found, _Done) and found in done:
                detail = f"{found.kind} of {found.start.isoformat()} was read before"
                found = _refused(row, Reason.DUPLICATE, detail)
            if isinstance(found, Quarantined):
                refused.append(found)
            else:
                done[found] = None
        columns = ([getattr(one, name) for one in done] for name in _Done._fields)
        return intervention_table(*columns), refused


def read_interventions(table: TableFile) -> TableInterventions:
    """The rows of an interventions file. Raises UnreadableSource if it lacks a column or has a broken row."""
    columns = table.columns()
    missing = [name for name in _REQUIRED if name not in columns]
    if missing:
        raise UnreadableSource(
            f"{table.path}: missing column {', '.join(missing)}; found {', '.join(columns)}"
        )
    found: defaultdict[str, list[_Row]] = defaultdict(list)
    for row in _rows(table, columns):
        found[str(row.stay or "")].append(row)
    if table.broken_rows:
        raise table.broken_rows[0]
    return TableInterventions(dict(found))


def _rows(table: TableFile, columns: Sequence[str]) -> Iterator[_Row]:
    return map(
        _Row._make, rows(table.batches([name for name in _Row._fields if name in columns]), _Row._fields)
    )


def _judged(row: _Row) -> _Done | Quarantined:
    kind = str(row.kind or "").strip()
    if kind not in _KINDS:
        detail = f"unknown kind of intervention {kind!r}: expected one of {', '.join(InterventionKind)}"
        return _refused(row, Reason.UNKNOWN_VARIABLE, detail)
    start = read_time(row.start)
    end = start if row.end in (None, "") else read_time(row.end)
    if start is None or end is None or start.tzinfo is None or end.tzinfo is None or end < start:
        bound = "ISO 8601 times with an offset, the end not before the start"
        detail = f"{kind}: start {cell_text(row.start)} and end {cell_text(row.end)} are not {bound}"
        return _refused(row, Reason.MALFORMED, detail)
    rate = _rate(kind, row)
    if isinstance(rate, Quarantined):
        return rate
    return _Done(start, end, kind, rate, str(row.agent or "").strip())


def _rate(kind: str, row: _Row) -> float | Quarantined:
    """The rate in the kind's unit, NaN where the row has none or the kind has no unit."""
    known = _RATE_UNITS.get(kind)
    if known is None or row.rate in (None, ""):
        return float("nan")
    value, unit = read_number(row.rate), "".join(str(row.unit or "").split()).casefold()
    factor = known.get(unit.replace("μ", "u"))
    if factor is None:
        reason = Reason.UNACCEPTED_UNIT if unit else Reason.MISSING_UNIT
        return _refused(
            row, reason, f"{kind} rate {cell_text(row.rate)} in {unit!r}; accepted: {', '.join(known)}"
        )
    if not 0 <= value < math.inf:
        return _refused(
            row, Reason.NOT_A_NUMBER, f"{kind} rate {cell_text(row.rate)} is not a number from 0 up"
        )
    return value * factor


def _refused(row: _Row, reason: Reason, detail: str) -> Quarantined:
    return Quarantined(
        reason,
        detail,
        row.row,
        variable=str(row.kind or ""),
        value=as_json(row.rate),
        unit=str(row.unit or ""),
    )
