"""PhysioNet/CinC Challenge 2012: the first 48 h of ICU stays, one text file a stay, one row a measurement.

Reads one .txt, a folder of them, or the zip as it is, one stay at a time. The records carry no dates: every
stay is admitted at `ADMITTED_AT`, and `07:30` is seven and a half hours later. When a result became known is
not said, so each variable's lag is assumed. RecordID, Age, Gender and ICUType describe the stay and are no
cells; -1 in Height, Weight and Gender says that it is not known. MechVent is charted as 1 while a patient is
ventilated: each row is one intervention that lasts till the next such row, where that follows within
`LONGEST_CHARTING_GAP`. Outcomes stand in a file of their own and are not read.

Source: Silva et al. 2012, Computing in Cardiology 39:245; data doi:10.13026/4c57-nm79.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.clinical.errors import UnreadableSource
from models.clinical.interventions import empty_interventions, intervention_table
from models.clinical.quarantine import Quarantined, Reason, as_json, check_values, read_number
from models.clinical.stay import Sex, Stay, observation_table
from models.clinical.units import same_unit
from models.clinical.variables import variable
from pipelines.ingest.codes_table import Code, read_codes
from pipelines.ingest.facts import PLAUSIBLE_AGE, Facts
from pipelines.ingest.files import find_record_files
from pipelines.ingest.records import RecordSource
from pipelines.ingest.source import IngestedStay

SOURCE = "cinc2012"
ADMITTED_AT = datetime(2012, 1, 1, tzinfo=UTC)
LONGEST_CHARTING_GAP = timedelta(hours=8)  # 99 of 100 gaps between MechVent rows are no longer

HEADER = "Time,Parameter,Value"
FACTS = ("RecordID", "Age", "Gender", "ICUType")
GENDERS: MappingProxyType[str, Sex] = MappingProxyType({"0": "female", "1": "male"})
CARE_UNITS = MappingProxyType({"1": "CCU", "2": "CSRU", "3": "MICU", "4": "SICU"})
_UNKNOWN = -1
_MAY_BE_UNKNOWN = ("Height", "Weight")
_OUTCOMES = "Outcomes"
_TIME = re.compile(r"(\d{1,3}):([0-5]\d)", re.ASCII)


@dataclass
class _Column:
    """The rows of one parameter: their numbers in the file, minutes after admission, and cells."""

    row: list[int] = field(default_factory=list)
    minute: list[int] = field(default_factory=list)
    cell: list[str] = field(default_factory=list)


class _Judged(NamedTuple):
    """Accepted values (n,): row, minute after admission, number of the parameter, canonical value, sign."""

    row: npt.NDArray[np.int64]
    minute: npt.NDArray[np.int64]
    code: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    censored: npt.NDArray[np.str_]

    def at(self, chosen: npt.NDArray[Any]) -> _Judged:
        """Those of an index or a mask."""
        return _Judged(*(column[chosen] for column in self))


def open_source(path: Path) -> RecordSource:
    """The stays in a .txt file, a folder of them (recursively) or a zip, streamed and never unpacked.

    Raises UnreadableSource if the path is absent, a zip is damaged or there is no .txt.
    """
    files = find_record_files(Path(path), ".txt")
    records = tuple(name for name in files.names if not PurePosixPath(name).name.startswith(_OUTCOMES))
    if not records:
        raise UnreadableSource(f"{path}: holds outcomes but no record")
    return RecordSource(replace(files, names=records), read_record)


def read_record(name: str, content: bytes) -> tuple[IngestedStay, Counter[str]]:
    """The stay in one file, whose path is `name`, and how many rows have a parameter that is not mapped.

    The file's stem is stay and subject id. Raises UnreadableSource where it is no record.
    """
    stay_id = PurePosixPath(name).stem
    lines = _lines(name, content)
    columns, quarantine = _columns(lines)
    told = {fact: columns.pop(fact, _Column()) for fact in FACTS}
    unmapped = Counter({code: len(columns.pop(code).row) for code in [*columns] if code not in _codes()})
    interventions = None
    judged = []
    for number, code in enumerate(_numbered()):
        if (column := columns.get(code.code)) is None:
            continue
        if code.intervention is None:
            values, refused = _judged(number, code, column)
            judged.append(values)
        else:
            interventions, refused = _interventions(code, column)
        quarantine += refused
    kept, repeated = _without_repetitions(judged)
    stay, facts = _stay(stay_id, told, _observations(kept), interventions)
    ingested = IngestedStay(
        stay,
        len(lines) - sum(len(column.row) for column in told.values()) - unmapped.total(),
        tuple(replace(entry, stay_id=stay_id) for entry in (*quarantine, *repeated)),
        tuple(facts.quarantined),
        converted=_converted(kept),
        lag_assumed=Counter(stay.observations["variable"].tolist()),
    )
    return ingested, unmapped


def _lines(name: str, content: bytes) -> list[str]:
    """The rows of a record, without the header."""
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    header, *lines = text.splitlines() or [""]
    if header.strip() != HEADER:
        raise UnreadableSource(f"{name}: begins with {header[:40]!r}; expected {HEADER}")
    found = [line for line in lines if line.strip()]
    if not found:
        raise UnreadableSource(f"{name}: no rows under the header")
    return found


def _columns(lines: Sequence[str]) -> tuple[dict[str, _Column], list[Quarantined]]:
    """The rows of each parameter, and those that are no rows or have no time."""
    columns: defaultdict[str, _Column] = defaultdict(_Column)
    broken = []
    minutes: dict[str, int | None] = {}
    for row, line in enumerate(lines, 1):
        clock, _, rest = line.partition(",")
        parameter, comma, cell = rest.partition(",")
        if clock not in minutes:
            minutes[clock] = _minute(clock)
        minute = minutes[clock]
        if minute is None or not comma or "," in cell:
            detail = f"{line[:80]!r} is not a row such as 07:30,HR,80"
            broken.append(Quarantined(Reason.MALFORMED, detail, row, variable=parameter, value=as_json(cell)))
            continue
        column = columns[parameter]
        column.row.append(row)
        column.minute.append(minute)
        column.cell.append(cell.strip())
    return dict(columns), broken


def _minute(clock: str) -> int | None:
    found = _TIME.fullmatch(clock.strip())
    return int(found[1]) * 60 + int(found[2]) if found else None


def _judged(number: int, code: Code, column: _Column) -> tuple[_Judged, list[Quarantined]]:
    """The accepted values of one parameter, and what was not accepted."""
    may_be_unknown = code.code in _MAY_BE_UNKNOWN
    cells = [None if may_be_unknown and read_number(cell) == _UNKNOWN else cell for cell in column.cell]
    checked = check_values(variable(code.target), cells, code.unit)
    numbers = np.full(len(cells), number)
    judged = _Judged(
        np.array(column.row), np.array(column.minute), numbers, checked.value, checked.censored
    ).at(checked.accepted)
    refused = [
        replace(entry, row=column.row[entry.row or 0], value=as_json(column.cell[entry.row or 0]))
        for entry in checked.quarantined
    ]
    return judged, refused


def _without_repetitions(judged: Sequence[_Judged]) -> tuple[_Judged, list[Quarantined]]:
    """Each value of a variable at a time once; a cuff and an arterial line may well agree."""
    if not judged:
        return _Judged(*(np.empty(0, kind) for kind in (np.int64, np.int64, np.int64, np.float64, "U1"))), []
    every = _Judged(*(np.concatenate(columns) for columns in zip(*judged, strict=True)))
    every = every.at(np.argsort(every.row))
    codes = [_numbered()[number] for number in every.code.tolist()]
    seen: set[tuple[int, str, float, str]] = set()
    repeated, first = [], np.ones(len(codes), dtype=np.bool_)
    cells = zip(codes, every.minute.tolist(), every.value.tolist(), every.censored.tolist(), strict=True)
    for index, (code, minute, value, sign) in enumerate(cells):
        if (key := (minute, code.target, value, sign)) not in seen:
            seen.add(key)
            continue
        first[index] = False
        detail = f"{code.code} {value} of minute {minute}: {code.target} was read before"
        row = int(every.row[index])
        repeated.append(Quarantined(Reason.DUPLICATE, detail, row, "", code.target, value, unit=code.unit))
    return every.at(first), repeated


def _observations(kept: _Judged) -> pd.DataFrame:
    codes = [_numbered()[number] for number in kept.code.tolist()]
    start = np.datetime64(ADMITTED_AT.replace(tzinfo=None), "us")
    time = start + kept.minute.astype("timedelta64[m]")
    known_at = time + np.array([_lags()[code.target] for code in codes], dtype="timedelta64[us]")
    names = [code.target for code in codes]
    return observation_table(time, known_at, names, kept.value, censored=kept.censored)


def _converted(kept: _Judged) -> Counter[tuple[str, str]]:
    counts = Counter(_numbered()[number] for number in kept.code.tolist())
    return Counter(
        {
            (code.target, code.unit): count
            for code, count in counts.items()
            if not same_unit(variable(code.target), code.unit)
        }
    )


def _interventions(code: Code, column: _Column) -> tuple[pd.DataFrame, list[Quarantined]]:
    """Each row as lasting till the next, and rows that do not say 1."""
    charted = [
        (m, row) for m, row, cell in zip(column.minute, column.row, column.cell, strict=True) if cell == "1"
    ]
    refused = [
        Quarantined(
            Reason.NO_VALUE, f"{code.code} {cell!r} is not 1", row, variable=code.target, value=as_json(cell)
        )
        for row, cell in zip(column.row, column.cell, strict=True)
        if cell != "1"
    ]
    minutes = sorted({minute for minute, _ in charted})
    seen: set[int] = set()
    for minute, row in charted:
        if minute in seen:
            detail = f"{code.code} of minute {minute} was read before"
            refused.append(Quarantined(Reason.DUPLICATE, detail, row, variable=code.target, value=1.0))
        seen.add(minute)
    starts = [ADMITTED_AT + timedelta(minutes=minute) for minute in minutes]
    ends = [
        following if following - start <= LONGEST_CHARTING_GAP else start
        for start, following in zip(starts, [*starts[1:], *starts[-1:]], strict=True)
    ]
    nothing = [""] * len(starts)
    return intervention_table(
        starts, ends, [code.target] * len(starts), [np.nan] * len(starts), nothing
    ), refused


def _stay(
    stay_id: str, told: dict[str, _Column], observations: pd.DataFrame, interventions: pd.DataFrame | None
) -> tuple[Stay, Facts]:
    facts = Facts(stay_id)
    first = {fact: column.cell[0] if column.cell else "" for fact, column in told.items()}
    row = {fact: column.row[0] if column.row else 1 for fact, column in told.items()}
    gender = "" if first["Gender"] == str(_UNKNOWN) else first["Gender"]
    stay = Stay(
        stay_id,
        subject_id=stay_id,
        admitted_at=ADMITTED_AT,
        observations=observations,
        age_years=facts.number("age_years", first["Age"], PLAUSIBLE_AGE, "years", row["Age"]),
        sex=facts.choice("sex", gender, GENDERS, row["Gender"]),
        care_unit=facts.choice("care_unit", first["ICUType"], CARE_UNITS, row["ICUType"]),
        interventions=empty_interventions() if interventions is None else interventions,
        source=SOURCE,
    )
    return stay, facts


@cache
def _numbered() -> tuple[Code, ...]:
    return read_codes(SOURCE)


@cache
def _codes() -> MappingProxyType[str, Code]:
    return MappingProxyType({code.code: code for code in _numbered()})


@cache
def _lags() -> dict[str, timedelta]:
    return {code.target: variable(code.target).lag for code in _numbered() if code.intervention is None}
