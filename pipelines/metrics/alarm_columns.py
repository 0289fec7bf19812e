"""Which column of a table of scores or onsets means what, and what its cells say.

Names are read word by word, so `PatientID`, `onset_hour`, `time_minutes` and `hours_since_admission` tell
role and unit; a number without a unit is hours. Numbers are kept to the second, because 5 minutes are no
finite decimal of an hour; dates to the microsecond, in UTC where they name no zone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from models.clinical.errors import InvalidInput, UnreadableSource
from models.clinical.quarantine import read_number, read_time

STAY = (
    *(
        "stay_id",
        "stay",
        "icustay_id",
        "icu_stay_id",
        "encounter_id",
        "encounter",
        "visit_id",
        "admission_id",
    ),
    *("hadm_id", "recording", "record_id", "record", "case_id", "patient_id", "patient", "subject_id"),
    *("subject", "pid", "id"),
)
SCORE = (
    *("score", "value", "probability", "prediction", "predicted_probability", "risk_score", "risk", "prob"),
    *("proba", "pred_score", "pred", "y_score", "y_prob", "y_pred", "p", "predicted"),
)
_UNITS = {
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "h", "iculos"), 3600),
    **dict.fromkeys(("minute", "minutes", "mins", "min", "m"), 60),
    **dict.fromkeys(("second", "seconds", "secs", "sec", "s"), 1),
    **dict.fromkeys(("day", "days", "d"), 86_400),
}
_TIME = {"time", "t", "datetime", "date", "timestamp", "charttime", "at"}
_FILLER = {"since", "from", "after", "admission", "icu", "in", "rel", "relative", "abs", "event", "chart"}
_WORDS = {
    "onset": {"onset", "start", "begin", "begins", "starts"},
    "end": {"end", "ends", "offset", "stop", "resolved", "resolution"},
    "recognised": {"recognised", "recognized", "recognition"},
}
_EVENT = {"sepsis", "seizure", "clinical", "label"}
NO_TIME = (
    "NaN",
    "nan",
    "NaT",
    "None",
    "null",
    "NULL",
    "NA",
    "<NA>",
    "N/A",
)  # what programs write for no time
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")
_SECOND = 1_000_000  # microseconds
_LARGEST = 2**60  # microseconds: 36,000 years

Role = Literal["time", "onset", "end", "recognised"]


@dataclass(frozen=True)
class Clock:
    """Cells of a column as microseconds (N,), and which have one; `dates` or numbers since admission."""

    column: str
    dates: bool
    time: npt.NDArray[np.int64]
    given: npt.NDArray[np.bool_]


def read_duration(text: str) -> timedelta:
    """A duration such as 8h, 30min, 90s or 1d. Raises InvalidInput for anything else."""
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None or found[2] not in _UNITS:
        raise InvalidInput(f"{text!r} is no duration; write 8h, 30min, 90s or 1d", value=text)
    try:
        return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    except OverflowError:
        raise InvalidInput(f"{text!r} is longer than any stay", value=text) from None


def named(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """The column that is called the first of `names` that one is called."""
    called = {"_".join(_words(column)): column for column in reversed(columns)}
    return next((called[name] for name in names if name in called), None)


def timed(columns: Sequence[str], role: Role) -> list[str]:
    """The columns that may hold `role`, best first; onsets may simply be called time."""
    ranks = {column: _rank(set(_words(column)), role) for column in columns}
    return sorted((column for column in columns if ranks[column]), key=lambda column: ranks[column])


def clock_of(cells: pa.ChunkedArray, column: str, path: Path) -> Clock:
    """The times of a column. Raises UnreadableSource that names file and row for a cell that is none."""
    texts = cells.cast(pa.string()) if is_text(cells.type) else cells
    if is_text(cells.type):
        texts = pc.if_else(pc.is_in(texts, pa.array(NO_TIME)), None, texts)
    given = np.asarray(texts.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    values = texts.drop_null()
    if pa.types.is_floating(values.type):
        given &= ~np.isnan(texts.to_numpy())
        values = values.filter(pc.invert(pc.is_nan(values)))
    time = np.zeros(len(texts), dtype=np.int64)
    if not len(values):
        return Clock(column, False, time, given)
    dates = pa.types.is_temporal(values.type) or (
        is_text(values.type) and np.isnan(read_number(values[0].as_py()))
    )
    time[given] = _dates(values, column, given, path) if dates else _numbers(values, column, given, path)
    return Clock(column, dates, time, given)


def numbers(cells: pa.ChunkedArray, what: str, path: Path) -> npt.NDArray[np.float64]:
    """Numbers of a column, (N,), NaN for an empty cell. Raises UnreadableSource for text that is none."""
    try:
        return np.asarray(cells.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    except pa.ArrowNotImplementedError:
        raise UnreadableSource(f"{path}: {what} holds {cells.type}; expected numbers") from None
    except pa.ArrowInvalid:
        parsed = np.array([read_number(cell) for cell in cells.to_pylist()])
        row = int(np.flatnonzero(np.isnan(parsed) & cells.is_valid().to_numpy(zero_copy_only=False))[0])
        raise at_row(path, row, f"{what} {cells[row].as_py()!r} is no number") from None


def at_row(path: Path, row: int, fault: str) -> UnreadableSource:
    """What is wrong in the row of index `row`; people count from 1, the first row below the header."""
    return UnreadableSource(f"{path}: row {row + 1}: {fault}")


def _words(column: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column)
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


def _rank(words: set[str], role: Role) -> int:
    """0 for a column that cannot be `role`, else the lower the likelier."""
    units, rest = words & _UNITS.keys(), words - _UNITS.keys() - _TIME - _FILLER
    tells_time = bool(units or words & _TIME)
    if role == "time":
        return (2 if units else 1) if tells_time and rest <= {"start"} else 0
    own = rest & _WORDS[role]
    if own and not rest - own - _EVENT:
        return 1 if words == {role} else 2 if own == {role} else 3
    return 4 if role == "onset" and tells_time and rest <= _EVENT else 0


def _unit(column: str) -> int:
    return next((_UNITS[word] for word in _words(column) if word in _UNITS), 3600)


def _numbers(values: pa.ChunkedArray, column: str, given: npt.NDArray[np.bool_], path: Path) -> Any:
    seconds = _seconds(values, column, given, path)
    whole = np.rint(seconds * _SECOND) if _unit(column) == 1 else np.rint(seconds) * _SECOND
    good = np.abs(whole) < _LARGEST
    if not good.all():
        place = int(np.argmin(good))
        row = int(np.flatnonzero(given)[place])
        raise at_row(path, row, f"{column} {values[place].as_py()} is no time of a stay")
    return whole.astype(np.int64)


def _seconds(
    values: pa.ChunkedArray, column: str, given: npt.NDArray[np.bool_], path: Path
) -> npt.NDArray[np.float64]:
    if is_text(values.type):
        parsed = np.array([read_number(cell) for cell in values.to_pylist()], dtype=np.float64)
    else:
        parsed = np.asarray(values.cast(pa.float64()).to_numpy(), dtype=np.float64)
    if np.isnan(parsed).any():
        place = int(np.argmax(np.isnan(parsed)))
        row = int(np.flatnonzero(given)[place])
        raise at_row(path, row, f"{column} {values[place].as_py()!r} is no number, as those above are")
    return parsed * _unit(column)


def _dates(values: pa.ChunkedArray, column: str, given: npt.NDArray[np.bool_], path: Path) -> Any:
    if pa.types.is_temporal(values.type):
        try:
            exact = values.cast(pa.timestamp("us", getattr(values.type, "tz", None)), safe=False)
            return exact.cast(pa.int64()).to_numpy()
        except pa.ArrowException as error:
            raise UnreadableSource(f"{path}: {values.type} is no date and time: {error}") from None
    for zone in (None, "UTC"):
        try:
            return values.cast(pa.timestamp("us", zone)).cast(pa.int64()).to_numpy()
        except pa.ArrowInvalid:
            continue
    dates = [_date(cell) for cell in values.to_pylist()]
    if None in dates:
        place = dates.index(None)
        row = int(np.flatnonzero(given)[place])
        raise at_row(path, row, f"{column} {values[place].as_py()!r} is no date and time, nor a number")
    return np.array(dates)


def _date(cell: str) -> int | None:
    time = read_time(cell)
    if time is None:
        return None
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def is_text(kind: pa.DataType) -> bool:
    """Whether cells of a column are text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
