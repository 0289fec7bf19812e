"""From raw JSON rows to observations: each row gets its own verdict, and a bad one harms no other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from pydantic import ValidationError

from db.queries.observations import QuarantineFacts
from models.clinical.ledger import ObservationFacts, ReportStatus
from models.clinical.quarantine import Accepted, Quarantined, Reason, check_clock, check_value, number_text
from models.clinical.variables import variable
from service.answers import Json
from service.problems import jsonable, readable
from service.schemas import ObservationIn

_DETAIL = 500  # characters kept of a sentence or of a row as it came


@dataclass(frozen=True)
class Said:
    """The content of a row in the variable's canonical unit; `value` is None in a withdrawal without one."""

    variable: str
    value: float | None
    censored: str


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


def read_value(row: ObservationIn) -> Said | Quarantined:
    """What the row says; a withdrawal of a named row, or of whatever was said, needs no value."""
    verdict = check_value(row.variable, row.value, row.unit)
    if isinstance(verdict, Accepted):
        return Said(verdict.variable.name, verdict.value, verdict.censored)
    needs_value = row.value is not None and row.identifier is None
    if not ReportStatus(row.status).withdraws or needs_value or verdict.reason is Reason.UNKNOWN_VARIABLE:
        return verdict
    return Said(variable(row.variable).name, None, "")


def check_times(
    row: ObservationIn, said: Said, *, admitted_at: datetime, known_at: datetime, now: datetime
) -> ObservationFacts | Quarantined:
    """The observation, or what is wrong with its clocks; `known_at` is used where the row has none."""
    known_at = row.known_at or known_at
    fault = check_clock(row.time, known_at, admitted_at, now)
    return fault or ObservationFacts(
        row.time,
        known_at,
        said.variable,
        said.value,
        said.censored,
        row.identifier or "",
        ReportStatus(row.status),
    )


def nothing_to_withdraw(facts: ObservationFacts) -> Quarantined:
    """The verdict on the withdrawal of what was never reported."""
    what = "" if facts.value is None else f" {facts.censored}{number_text(facts.value)}"
    named = f" with the identifier {facts.identifier!r}" if facts.identifier else ""
    detail = f"no {facts.variable}{what} of {facts.time.isoformat()}{named} was reported: nothing to withdraw"
    return Quarantined(
        Reason.WITHDRAWN, detail, variable=facts.variable, value=facts.identifier or facts.value
    )
