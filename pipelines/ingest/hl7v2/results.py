"""One HL7 v2 message as readings: ORU^R01, IHE PCD-01, and what ADT messages say of the visit.

A reading's time is OBX-14, or that of the device channel that contains it (OBX-4 of PCD-01), else OBR-7, else
OBR-22. It became known with OBX-19 or OBR-22, the later one, else with MSH-7; what lies before its time says
nothing, and the variable's lag is assumed. A time without an offset is taken at that of MSH-7 or at the zone
of the caller; without either it is malformed.

OBX-11: F, P, R (a device's, not verified), S, B, V and an empty one are kept; C and A replace; D and W
withdraw; X says that no result can be had, and ends an earlier one; I, O, N and U bring none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import NamedTuple

from models.clinical.errors import UnreadableSource
from models.clinical.interventions import InterventionKind
from models.clinical.quarantine import Accepted, Quarantined, Reason, as_json, check_clock, check_value
from pipelines.ingest.codes_table import Code
from pipelines.ingest.hl7v2.codes import InUnit, code_name, in_accepted_unit, meaning
from pipelines.ingest.hl7v2.segments import Segment, first_text, read_hl7_time, read_offset, segments
from pipelines.ingest.readings import Reading

_CORRECTING = frozenset("CADWX")
_WITHDRAWING = frozenset("DW")
_RESULTLESS = frozenset("IONU")
_STATUSES = frozenset("FPRSBVCADWXIONU") | {""}
_NUMERIC_TYPES = frozenset({"NM", "ST", "TX", "FT", ""})
_COMPARATORS = frozenset({"", "=", "<", "<=", ">", ">="})


@dataclass(frozen=True)
class Visit:
    """What a message says of a hospital visit (PV1); "" and None for what it does not say."""

    number: str = ""
    care_unit: str = ""
    bed: str = ""
    admitted_at: datetime | None = None
    discharged_at: datetime | None = None


class Result(NamedTuple):
    """One OBX. `place` is its segment's number in the message, `label` its code as sent.

    `reading` has a catalogue name, an accepted unit and times where they could be read. `fault` says why it
    can be none. `measurement` names what was measured, equal in all messages about it; `corrects` a version
    that replaces another. `intervention` and `agent`, where the code means a thing done and not a variable.
    """

    place: int
    label: str
    reading: Reading
    measurement: str
    ordered: bool
    corrects: bool
    fault: Quarantined | None = None
    intervention: InterventionKind | None = None
    agent: str = ""


@dataclass(frozen=True)
class _Order:
    """What an OBR says of all its results: its number, their time as sent, and when they were released."""

    number: str = ""
    time: str = ""
    released: datetime | None = None


@dataclass(frozen=True)
class PatientResults:
    """What a message says of one patient: `subject` is PID-3, `birth` (PID-7) and `sex` (PID-8) as sent."""

    subject: str
    birth: str
    sex: str
    visit: Visit
    results: tuple[Result, ...]


@dataclass(frozen=True)
class Message:
    """One message. `event` is MSH-9 such as `ORU^R01`; `broken` are lines of it that are no segments.

    `zone` is the offset of MSH-7 or the caller's, taken for times without one.
    """

    control_id: str
    event: str
    sent_at: datetime | None
    zone: tzinfo | None
    patients: tuple[PatientResults, ...]
    broken: tuple[UnreadableSource, ...]


def parse_message(text: str, zone: tzinfo | None = None) -> Message:
    """The readings of one message; `zone` holds for its times where it states no offset at all.

    Raises UnreadableSource where the text is no HL7 v2 message.
    """
    found, broken = segments(text)
    header = found[0]
    own = read_offset(header.text(7)) or zone
    event = "^".join(part for part in (header.text(9), header.text(9, 2)) if part)
    sent_at = read_hl7_time(header.text(7), own)
    message = Message(header.text(10), event, sent_at, own, (), tuple(broken))
    patients = tuple(_patient(group, message) for group in _groups(found))
    return replace(message, patients=patients)


def verdict(result: Result) -> Accepted | Quarantined:
    """What becomes of one OBX, seen alone: without its stay, and without other messages about it."""
    if result.fault is not None:
        return result.fault
    reading = result.reading
    if result.intervention is not None:
        detail = f"{result.label} is a {result.intervention}: an intervention, not an observation"
        return Quarantined(Reason.UNKNOWN_VARIABLE, detail, variable=result.intervention)
    if reading.withdrawn:
        return _fault(Reason.WITHDRAWN, f"{result.label} is withdrawn by its status", reading)
    checked = check_value(reading.code, reading.value, reading.unit)
    if isinstance(checked, Quarantined):
        return checked
    if not isinstance(reading.time, datetime):
        return _fault(Reason.MALFORMED, f"time {reading.time!r} is not an HL7 time with an offset", reading)
    known_at = reading.known_at if isinstance(reading.known_at, datetime) else reading.time
    return check_clock(reading.time, known_at, reading.time) or checked


def _groups(found: Sequence[Segment]) -> Iterator[list[Segment]]:
    """The segments of each patient: a message of several repeats PID."""
    group: list[Segment] = []
    for segment in found:
        if segment.name == "PID" and any(one.name == "PID" for one in group):
            yield group
            group = [one for one in group if one.name in ("MSH", "EVN")]
        group.append(segment)
    yield group


def _patient(group: Sequence[Segment], message: Message) -> PatientResults:
    first: dict[str, Segment] = {}
    for segment in group:
        first.setdefault(segment.name, segment)
    patient = first.get("PID")
    return PatientResults(
        _identifier(patient),
        first_text(patient, (7,)),
        first_text(patient, (8,)).upper(),
        _visit(first, message),
        tuple(_results(group, message)),
    )


def _identifier(patient: Segment | None) -> str:
    """The medical record number among PID-3, else its first identifier, else PID-2 of old senders."""
    if patient is None:
        return ""
    listed = [one for one in patient.repetitions(3) if one[0]]
    records = [one for one in listed if len(one) > 4 and one[4] in ("MR", "PI")]  # noqa: PLR2004 CX.5, its type
    return (records or listed or [[patient.text(2)]])[0][0]


def _visit(first: dict[str, Segment], message: Message) -> Visit:
    visit, event = first.get("PV1"), first.get("EVN")
    trigger = message.event.partition("^")[2]
    happened = read_hl7_time(first_text(event, (6, 2)), message.zone) or message.sent_at
    admitted = read_hl7_time(first_text(visit, (44,)), message.zone)
    discharged = read_hl7_time(first_text(visit, (45,)), message.zone)
    number = first_text(visit, (19,)) or _account(first.get("PID"))
    if visit is None:
        return Visit(number)
    return Visit(
        number,
        care_unit=visit.text(3).split(visit.separators[4])[0],
        bed="-".join(part for part in (visit.text(3, 2), visit.text(3, 3)) if part),
        admitted_at=admitted or (happened if trigger in ("A01", "A04") else None),
        discharged_at=discharged or (happened if trigger == "A03" else None),
    )


def _account(patient: Segment | None) -> str:
    """PID-18 where it says of itself that it is a visit number."""
    return patient.text(18) if patient is not None and patient.text(18, 5) == "VN" else ""


def _results(group: Sequence[Segment], message: Message) -> Iterator[Result]:
    order = _Order()
    channels: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for segment in group:
        if segment.name == "OBR":
            order, channels = _order(segment, message), {}
        elif segment.name == "OBX":
            if segment.text(4) and segment.text(14):
                channels[segment.text(4)] = segment.text(14)
            yield _result(segment, order, channels, message, seen)


def _order(segment: Segment, message: Message) -> _Order:
    return _Order(
        first_text(segment, (3, 2)),
        first_text(segment, (7, 22)),
        read_hl7_time(segment.text(22), message.zone),
    )


def _result(
    segment: Segment, order: _Order, channels: dict[str, str], message: Message, seen: Counter[str]
) -> Result:
    coded = tuple(next(iter(segment.repetitions(3)), ()))
    label, code = code_name(coded), meaning(coded)
    status, value = segment.text(11).upper(), _value(segment)
    time, known_at = _clocks(segment, order, channels, message)
    found = InUnit(value or "", "")
    if code is not None and code.intervention is None:
        found = in_accepted_unit(code, value or "", tuple(next(iter(segment.repetitions(6)), ())))
    reading = Reading(
        time,
        known_at,
        label if code is None else code.target,
        None if value is None or status == "X" else found.value,
        found.unit,
        withdrawn=status in _WITHDRAWING,
        sent_unit=found.sent_unit,
    )
    measurement = f"{order.number}|{coded[0] if coded else ''}|{segment.text(4)}"
    # the same measurement twice in one message is two, not a version of the first
    seen[again := f"{measurement} {time}"] += 1
    return Result(
        segment.place,
        label,
        reading,
        f"{measurement}|{seen[again]}",
        bool(order.number),
        status in _CORRECTING,
        _status_fault(status, segment, reading, label, code),
        None if code is None else code.intervention,
        "" if code is None else code.agent,
    )


def _status_fault(
    status: str, segment: Segment, reading: Reading, label: str, code: Code | None
) -> Quarantined | None:
    """Why an OBX brings no reading, whatever its value; None where its value decides."""
    sent = "~".join("^".join(components) for components in segment.repetitions(5))
    told = reading._replace(value=sent or None)
    if code is None:
        detail = f"{label or 'an OBX without a code'} is not mapped to the catalogue"
        return _fault(Reason.UNKNOWN_VARIABLE, detail, told)
    if status not in _STATUSES:
        return _fault(Reason.MALFORMED, f"{label}: OBX-11 {status!r} is no status of HL7 table 0085", told)
    if code.intervention is not None:
        if status in ("D", "W", "X"):
            return _fault(Reason.WITHDRAWN, f"{label} is withdrawn by its status {status}", told)
        return (
            None
            if isinstance(reading.time, datetime)
            else _fault(Reason.MALFORMED, f"{label} has no time", told)
        )
    if status in _RESULTLESS or (not sent and status not in _CORRECTING):
        return _fault(Reason.NO_VALUE, f"{label}: no result is given (status {status or 'empty'})", told)
    return None


def _fault(reason: Reason, detail: str, reading: Reading) -> Quarantined:
    return Quarantined(
        reason, detail, variable=reading.code, value=as_json(reading.value), unit=reading.unit or ""
    )


def _value(segment: Segment) -> str | None:
    """OBX-5 as a cell; what is no number by its type keeps its type, so that a code is never read as one."""
    found, kind = segment.repetitions(5), segment.text(2).upper()
    if not found or found == [['""']]:
        return None
    text = "~".join("^".join(components) for components in found)
    if len(found) == 1 and kind == "SN":
        return _structured(found[0]) or text
    return text if kind in _NUMERIC_TYPES else f"{kind} {text}"


def _structured(components: Sequence[str]) -> str:
    """A structured numeric that is one number: `<^0.06` is `<0.06`; "" for ranges, ratios and grades."""
    comparator, number, *rest = (*components, "", "")[:4]
    if comparator not in _COMPARATORS or any(rest):
        return ""
    return f"{comparator.removeprefix('=')}{number}"


def _clocks(
    segment: Segment, order: _Order, channels: dict[str, str], message: Message
) -> tuple[datetime | str, datetime | None]:
    """When it was measured, as text where that is no time, and when it became known."""
    stated = segment.text(14) or _channel_time(segment.text(4), channels) or order.time
    time = read_hl7_time(stated, message.zone)
    if time is None:
        return stated, None
    told = (read_hl7_time(segment.text(19), message.zone), order.released)
    later = [clock for clock in told if clock is not None and clock >= time]
    if not later and message.sent_at is not None and message.sent_at >= time:
        later = [message.sent_at]
    return time, max(later, default=None)


def _channel_time(sub_id: str, channels: dict[str, str]) -> str:
    """The time of the innermost channel that contains a metric: 1.0.1 contains 1.0.1.4."""
    while channels and "." in sub_id:
        sub_id = sub_id.rpartition(".")[0]
        if sub_id in channels:
            return channels[sub_id]
    return ""
