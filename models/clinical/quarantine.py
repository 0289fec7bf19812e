"""Quarantine: what happens to an input that must not become an observation.

Implausible or unreadable input is not an error: it is set aside with its reason, counted and reported, and
the good rows beside it are kept. `check_values` is the one rule; a single cell is an array of one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from models.clinical.errors import UnacceptedUnit, UnknownVariable
from models.clinical.units import convert
from models.clinical.variables import Variable
from models.clinical.variables import variable as catalogue_variable

# bedside clocks drift: a reading stamped a little ahead of ours is late news, not a mistake
CLOCK_LEAD = timedelta(minutes=5)

# de-identified records lie as far ahead as 2202; 0001 and 9999 are how databases write "none" and "for ever"
YEARS = range(1900, 2300)

# no alternative can match the same digits twice: a hostile megabyte of digits stays linear
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_CENSORED = re.compile(rf"(?P<sign><=?|>=?|≤|≥)\s*(?P<limit>{_NUMBER.pattern})", re.ASCII)
_SIGNS = {"<": "<", "<=": "<", "≤": "<", ">": ">", ">=": ">", "≥": ">"}

LONGEST_TEXT = 120  # characters of a text cell that are worth keeping

# what stands where a number should be and says only that there is none (MIMIC-IV blanks a result as `___`)
PLACEHOLDERS = frozenset({"", "___", "-", "--", ".", "NA", "N/A", "NULL", "null", "nan", "NaN", "None"})

Cell = float | int | str | None


class Reason(StrEnum):
    """Why an input was set aside."""

    UNKNOWN_STAY = "unknown_stay"
    UNKNOWN_VARIABLE = "unknown_variable"
    UNACCEPTED_UNIT = "unaccepted_unit"
    MISSING_UNIT = "missing_unit"
    NOT_A_NUMBER = "not_a_number"
    NO_VALUE = "no_value"
    IMPLAUSIBLE = "implausible"
    IN_FUTURE = "in_future"
    BEFORE_ADMISSION = "before_admission"
    KNOWN_BEFORE_MEASURED = "known_before_measured"
    OUTSIDE_STAY = "outside_stay"
    DUPLICATE = "duplicate"
    WITHDRAWN = "withdrawn"  # marked as an error before it was ever known, or never given
    MALFORMED = "malformed"


@dataclass(frozen=True)
class Quarantined:
    """One input that was set aside.

    `detail` is a sentence that names value, bound and unit. `value` and `unit` are as received; `value` is a
    finite number or text, so it can be written as JSON. `bound` is in the canonical unit and names it where
    that is not `unit`. `row` counts the rows of a file from 1, the first below the header, and values from 0.
    """

    reason: Reason
    detail: str
    row: int | None = None
    stay_id: str = ""
    variable: str = ""
    value: float | str | None = None
    bound: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Accepted:
    """One value fit to become an observation, in the variable's canonical unit.

    `censored` is "<" or ">" where `value` is only the limit that the quantity lies beyond.
    """

    variable: Variable
    value: float
    censored: str = ""


@dataclass(frozen=True)
class CheckedValues:
    """`value` (n,) in the canonical unit; `accepted` (n,) bool; `quarantined`, one for each that is not.

    `censored` (n,) text: "<" or ">" where `value` is a detection limit, else "".
    """

    value: npt.NDArray[np.float64]
    accepted: npt.NDArray[np.bool_]
    quarantined: tuple[Quarantined, ...]
    censored: npt.NDArray[np.str_]


def check_value(name_or_code: str, value: Cell, unit: str | None) -> Accepted | Quarantined:
    """The verdict on one cell, which may be a number, a number as text, a text result, or nothing."""
    return check_cells(name_or_code, [value], unit)[0]


def check_cells(name_or_code: str, cells: Sequence[Cell], unit: str | None) -> list[Accepted | Quarantined]:
    """The verdict on each cell, all said to be of one variable in one unit. Never raises for bad data."""
    try:
        variable = catalogue_variable(name_or_code)
    except UnknownVariable as error:
        unknown = Quarantined(
            Reason.UNKNOWN_VARIABLE,
            str(error),
            variable=name_or_code,
            bound=error.bound,
            unit=unit or "",
        )
        return [replace(unknown, value=as_json(cell)) for cell in cells]
    checked = check_values(variable, cells, unit)
    verdicts: list[Accepted | Quarantined] = [
        Accepted(variable, value, sign)
        for value, sign in zip(checked.value.tolist(), checked.censored.tolist(), strict=True)
    ]
    for entry in checked.quarantined:
        verdicts[entry.row or 0] = replace(entry, row=None)
    return verdicts


def check_values(
    variable: Variable, values: Sequence[Cell] | npt.NDArray[np.float64], unit: str | None
) -> CheckedValues:
    """The verdicts on `values` (n,), numbers or cells, all of one variable in one unit.

    A text such as `<0.01` is read as its limit and flagged. `row` of each quarantined value is its index.
    Never raises for bad data.
    """
    number, censored = _read(values)
    try:
        converted = _in_canonical_unit(number, variable, unit)
    except UnacceptedUnit as error:
        return _all_quarantined(variable, values, unit, error)
    low, high = variable.plausible
    # a NaN compares false, so it is never accepted
    accepted = (converted >= low) & (converted <= high)
    quarantined = tuple(
        replace(_unfit(variable, values[row], float(number[row]), float(converted[row]), unit or ""), row=row)
        for row in np.flatnonzero(~accepted).tolist()
    )
    return CheckedValues(converted, accepted, quarantined, censored)


def check_clock(
    time: datetime, known_at: datetime, admitted_at: datetime, now: datetime | None = None
) -> Quarantined | None:
    """What is wrong with an observation's two clocks, or None.

    `now` is the service's clock; a file of past stays has none. Both clocks may lead it by `CLOCK_LEAD`.
    """
    for name, clock in (("time", time), ("known_at", known_at)):
        if clock.tzinfo is None:
            return _clock_fault(Reason.MALFORMED, name, clock, "has no time zone", "an offset such as Z")
    for name, clock in (("time", time), ("known_at", known_at)):
        if now is not None and clock > now + CLOCK_LEAD:
            return _clock_fault(
                Reason.IN_FUTURE, name, clock, "is in the future", f"<= {_text(now + CLOCK_LEAD)}"
            )
    if known_at < time:
        return _clock_fault(
            Reason.KNOWN_BEFORE_MEASURED, "known_at", known_at, "is before time", f">= {_text(time)}"
        )
    if time < admitted_at:
        return _clock_fault(
            Reason.BEFORE_ADMISSION, "time", time, "is before the admission", f">= {_text(admitted_at)}"
        )
    return None


def read_censored(cell: object) -> tuple[float, str]:
    """The number in a cell and its sign: a result beyond a limit is the limit and "<" or ">"."""
    if isinstance(cell, str) and (found := _CENSORED.fullmatch(cell.strip())):
        return float(found["limit"]), _SIGNS[found["sign"]]
    return read_number(cell), ""


def read_number(cell: object) -> float:
    """The number in a cell, NaN where there is none: text is read as plain decimal or scientific notation."""
    if isinstance(cell, str):
        text = cell.strip()
        return float(text) if _NUMBER.fullmatch(text) else math.nan
    if not isinstance(cell, int | float) or isinstance(cell, bool):
        return math.nan
    try:
        return float(cell)
    except OverflowError:  # an integer of more than 308 digits
        return math.inf


def read_time(cell: object) -> datetime | None:
    """The time in a cell, in UTC, or None where there is none; a time without an offset stays without one.

    Text is read as ISO 8601. A year outside `YEARS` is a placeholder and no time: a stay that begins or ends
    there would have millions of hours to score.
    """
    try:
        time = datetime.fromisoformat(cell.strip()) if isinstance(cell, str) else cell
        if not isinstance(time, datetime) or time.year not in YEARS:
            return None
        return time if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):  # OverflowError: a time of year 1 or 9999 that leaves the calendar
        return None


def as_json(value: object) -> float | str | None:
    """A cell as it was received, in a form that JSON can hold: a finite number, text or None.

    Longer text than `LONGEST_TEXT` is cut and ends in an ellipsis.
    """
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = read_number(value)
        return float(number) if math.isfinite(number) else str(number)
    text = str(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def cell_text(value: object) -> str:
    """A cell as a message shows it: numbers bare, text in quotes."""
    shown = as_json(value)
    if shown is None:
        return "(nothing)"
    return number_text(shown) if isinstance(shown, float) else repr(shown)


def number_text(value: float) -> str:
    """The shortest text that reads back as `value`, without a trailing `.0`."""
    return repr(float(value)).removesuffix(".0")


def bound_text(variable: Variable) -> str:
    """The variable's plausible range as `[low, high]`."""
    low, high = variable.plausible
    return f"[{number_text(low)}, {number_text(high)}]"


def _read(
    values: Sequence[Cell] | npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.str_]]:
    """The numbers (n,) in cells, NaN where there is none, and their signs (n,)."""
    if isinstance(values, np.ndarray):
        return values.astype(np.float64, copy=False), np.full(len(values), "", dtype="U1")
    read = [read_censored(cell) for cell in values]
    return np.array([number for number, _ in read], dtype=np.float64), np.array(
        [sign for _, sign in read], dtype="U1"
    )


def _in_canonical_unit(
    number: npt.NDArray[np.float64], variable: Variable, unit: str | None
) -> npt.NDArray[np.float64]:
    if unit is None or not unit.strip():
        known = ", ".join(variable.accepted_units)
        raise UnacceptedUnit(
            f"{variable.name} comes without a unit; accepted: {known}", value=unit, bound=known
        )
    return convert(number, variable, unit)


def _all_quarantined(
    variable: Variable,
    values: Sequence[Cell] | npt.NDArray[np.float64],
    unit: str | None,
    error: UnacceptedUnit,
) -> CheckedValues:
    reason = Reason.UNACCEPTED_UNIT if unit and unit.strip() else Reason.MISSING_UNIT
    quarantined = tuple(
        Quarantined(
            reason,
            f"{cell_text(value)}: {error}",
            row=row,
            variable=variable.name,
            value=as_json(value),
            bound=error.bound,
            unit=unit or "",
        )
        for row, value in enumerate(values)
    )
    nothing = np.full(len(values), np.nan)
    unread = np.full(len(values), "", dtype="U1")
    return CheckedValues(nothing, np.zeros(len(values), dtype=np.bool_), quarantined, unread)


def _unfit(variable: Variable, value: object, number: float, converted: float, unit: str) -> Quarantined:
    bound = bound_text(variable)
    given = f"{variable.name} {cell_text(value)} {unit}"
    if math.isfinite(number):
        reason = Reason.IMPLAUSIBLE
        same = unit == variable.unit
        shown = given if same else f"{given} ({number_text(converted)} {variable.unit})"
        detail = f"{shown} is outside {bound} {variable.unit}"
    elif value is None or (isinstance(value, str) and value.strip() in PLACEHOLDERS):
        reason = Reason.NO_VALUE
        detail = f"{given} holds no value; expected a number in {bound} {variable.unit}"
    else:
        reason = Reason.NOT_A_NUMBER
        detail = f"{given} is not a number in {bound} {variable.unit}"
    shown_bound = bound if unit == variable.unit else f"{bound} {variable.unit}"
    return Quarantined(
        reason, detail, variable=variable.name, value=as_json(value), bound=shown_bound, unit=unit
    )


def _clock_fault(reason: Reason, name: str, clock: datetime, fault: str, bound: str) -> Quarantined:
    value = _text(clock)
    return Quarantined(reason, f"{name} {value} {fault}: expected {bound}", value=value, bound=bound)


def _text(time: datetime) -> str:
    return time.isoformat()
