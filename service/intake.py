"""From raw JSON rows to observations: each row gets its own verdict, and a bad one harms no other."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from pydantic import ValidationError

from db.queries.observations import ObservationFacts, QuarantineFacts
from models.clinical.quarantine import Accepted, Quarantined, Reason, check_clock
from service.answers import Json
from service.problems import jsonable, readable
from service.schemas import ObservationIn

_DETAIL = 500  # characters kept of a sentence or of a row as it came

ReadRow = TypeVar("ReadRow", bound=ObservationIn)


def refusal(verdict: Quarantined, row: int) -> Json:
    """A rejected row's entry in the answer."""
    members = {"value": verdict.value, "bound": verdict.bound, "unit": verdict.unit}
    return {
        "row": row,
        "status": "rejected",
        "reason": str(verdict.reason),
        "detail": readable(verdict.detail, _DETAIL),
        **{name: jsonable(member) for name, member in members.items() if member not in (None, "")},
    }


def quarantine_facts(verdict: Quarantined, raw: object, stay_id: str | None) -> QuarantineFacts:
    """A rejected row for the quarantine table; `raw` is the row as it came."""
    return QuarantineFacts(
        reason=str(verdict.reason),
        detail=readable(verdict.detail, _DETAIL),
        input=readable(raw, _DETAIL),
        bound=readable(verdict.bound),
        unit=readable(verdict.unit),
        stay_id=stay_id,
    )


def read_row(shape: type[ReadRow], raw: object) -> ReadRow | Quarantined:
    """The row in `shape`, or why it has none."""
    try:
        return shape.model_validate(raw)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
    name = str(fault["loc"][0]) if fault["loc"] else ""
    detail = f"{name}: {fault['msg'].removeprefix('Value error, ')}" if name else fault["msg"]
    given = fault["input"] if fault["type"] != "missing" else None
    value = None if isinstance(given, dict | list | bool) else jsonable(given)
    return Quarantined(Reason.MALFORMED, detail, value=value if isinstance(value, str | float) else None)


def check_times(
    row: ObservationIn, value: Accepted, *, admitted_at: datetime, known_at: datetime, now: datetime
) -> ObservationFacts | Quarantined:
    """The observation, or what is wrong with its clocks; `known_at` is used where the row has none."""
    known_at = row.known_at or known_at
    fault = check_clock(row.time, known_at, admitted_at, now)
    return fault or ObservationFacts(row.time, known_at, value.variable.name, value.value)
