"""Segment scores of live recordings: stored, judged, told on the feed and audited in one transaction."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from db.queries import outbox, scores, segments, stays
from db.queries.alerts import alerts_in_state
from db.queries.audit import record
from db.rows import AlertRow, ModelVersionRow, SegmentScoreRow, SegmentTracesRow, StayRow
from db.session import reading
from models.clinical.alarm import AlarmPolicy
from models.clinical.errors import InvalidInput
from models.clinical.quarantine import CLOCK_LEAD
from models.clinical.score import ScoreStatus
from service.alerting import foremost, told_before, update_alert
from service.answers import Json, alert_json, instant
from service.clock import wall_now
from service.context import Parts
from service.policy import SeizurePolicy, detector_facts, detector_policy, stated_threshold
from service.problems import NotFound
from service.recordings import (
    JUDGED,
    KEPT,
    PICTURED,
    Detector,
    decisions_on,
    recording_tile,
    segment_score,
)
from service.schemas import Instant, SegmentIn, SegmentScoresIn

router = APIRouter(prefix="/v1/stays", tags=["recordings"])

_ACTOR = "api"
_log = logging.getLogger(__name__)
_ALERTS_READ = 50  # of one stay, newest first: what was told of the hour that is judged is among them
_STATUSES = ("accepted", "duplicate", "conflict", "rejected")


@router.post(
    "/{stay_id:path}/segment-scores",
    responses={404: {"description": "No such stay"}, 413: {"description": "A body above the limit"}},
)
def take(parts: Parts, stay_id: str, body: SegmentScoresIn) -> Json:
    """Store the scores of segments that are new, and let the alarm policy decide; each has its verdict.

    A segment that is stored stands: sent again it is a duplicate, with another score a conflict. The policy
    is the operator's, or else the ward's at the detector's own `threshold`.
    """
    now = parts.clock.now()
    with parts.writing() as session:
        stay = stays.stays_for_update(session, [stay_id]).get(stay_id)
        if stay is None:
            raise NotFound(f"no stay {stay_id!r}; announce it with POST /v1/stays")
        version, policy = _version(session, body, parts.seizure_policy, now)
        shown = segments.newest_segment_time(session, stay.id, model_version_id=version.id, numbers_only=True)
        verdicts = _store(session, stay, version, body.segments, now)
        counts = Counter(verdict["status"] for verdict in verdicts)
        if counts["conflict"]:
            facts = {"stay_id": stay_id, "conflicts": counts["conflict"], "detector": body.detector}
            record(session, _ACTOR, "segment scores contradicted", facts, now)
        if counts["accepted"]:
            _picture(session, stay, version, body.segments, verdicts)
            _judge(session, stay, version, body, policy, shown_through=shown, at=now)
    return {**{status: counts[status] for status in _STATUSES}, "segments": verdicts}


@router.get("/{stay_id:path}/segment-scores")
def segments_of_stay(
    parts: Parts,
    stay_id: str,
    minutes: Annotated[float, Query(gt=0, le=24 * 60, allow_inf_nan=False)] = 30,
    as_of: Annotated[Instant | None, Query(description="As it was known at this time")] = None,
) -> Json:
    """The last minutes of a stay's segments by time; those of the last 24 h are kept."""
    until = as_of or parts.clock.now() + CLOCK_LEAD
    with reading(parts.engine) as session:
        stay = stays.stay_by_external_id(session, stay_id)
        if stay is None:
            raise NotFound(f"no stay {stay_id!r}")
        newest = as_of or segments.newest_segment_time(session, stay.id) or until
        after = newest - timedelta(minutes=minutes)
        found = segments.segments_between(session, stay.id, after, until)
        known = [row for row in found if as_of is None or row.received_at <= as_of]
        active = set(_active(session, stay, known, parts.seizure_policy))
    return {"stay_id": stay_id, "segments": [_segment(row, row.id in active) for row in known]}


@router.get("/{stay_id:path}/signal", responses={404: {"description": "No such stay"}})
def signal_of_stay(
    parts: Parts,
    stay_id: str,
    after: Annotated[Instant | None, Query(description="Only of segments that end later")] = None,
) -> Json:
    """Pictures of the newest five minutes of signal, a segment each by time; older ones are not kept."""
    with reading(parts.engine) as session:
        stay = stays.stay_by_external_id(session, stay_id)
        if stay is None:
            raise NotFound(f"no stay {stay_id!r}")
        newest = segments.newest_segment_time(session, stay.id)
        if newest is None:
            return {"stay_id": stay_id, "segments": []}
        begin = newest - PICTURED
        found = segments.traces_after(session, stay.id, begin if after is None else max(begin, after))
    told = [{"time": instant(time), "channels": traces} for time, traces in found]
    return {"stay_id": stay_id, "segments": told}


def _segment(row: SegmentScoreRow, active: bool) -> Json:
    told = segment_score(row)
    return {name: told[name] for name in ("time", "value", "status", "reason")} | {
        "channels": row.channels,
        "active": active,
    }


def _active(
    session: Session, stay: StayRow, known: Sequence[SegmentScoreRow], operators: SeizurePolicy | None
) -> Iterator[int]:
    """The ids of segments at which the policy held the condition active, each by its own detector's."""
    for version_id in {row.model_version_id for row in known}:
        version = session.get_one(ModelVersionRow, version_id)
        policy = detector_policy(operators, version.name, version.version, stated_threshold(version.policy))
        rows = [row for row in known if row.model_version_id == version_id]
        decisions = decisions_on(stay, rows, policy)
        yield from (row.id for row, decision in zip(rows, decisions, strict=True) if decision.active)


def _version(
    session: Session, body: SegmentScoresIn, operators: SeizurePolicy | None, at: datetime
) -> tuple[ModelVersionRow, AlarmPolicy]:
    """The detector's row, made when it scores here for the first time or under another policy, and that."""
    held = scores.model_version(session, body.detector, body.version)
    stated = _stated(body, held)
    policy = detector_policy(operators, body.detector, body.version, stated)
    if held is not None and held.condition != policy.condition:
        raise InvalidInput(
            f"{body.detector} {body.version} scores {held.condition} here, not {policy.condition}",
            value=body.detector,
            bound=f"a detector of {policy.condition}",
        )
    not_by = ""
    if operators is not None and not operators.judges(body.detector, body.version):
        not_by = operators.chosen_for
    facts = detector_facts(policy, stated, not_by)
    if held is not None and held.policy == facts:
        return held, policy
    version, _ = scores.activate_model_version(
        session,
        body.detector,
        body.version,
        threshold=policy.threshold,
        policy=facts,
        at=at,
        condition=policy.condition,
    )
    told = {"detector": body.detector, "version": body.version}
    if not_by:
        told["operators_policy_is_for"] = not_by
        _log.warning(
            "%s %s is judged at its own threshold: the policy file was chosen for %s", *told.values()
        )
    record(session, _ACTOR, "detector activated", told, at)
    return version, policy


def _stated(body: SegmentScoresIn, held: ModelVersionRow | None) -> float | None:
    """The threshold that the detector states, now or before."""
    before = None if held is None else stated_threshold(held.policy)
    if body.threshold is None or before is None or body.threshold == before:
        return before if body.threshold is None else body.threshold
    raise InvalidInput(
        f"{body.detector} {body.version} states the threshold {body.threshold}, before {before}: "
        "another threshold is another version",
        value=body.threshold,
        bound=str(before),
    )


def _store(
    session: Session, stay: StayRow, version: ModelVersionRow, given: Sequence[SegmentIn], now: datetime
) -> list[Json]:
    """Add what is new and say of each segment what became of it."""
    times = [one.time for one in given]
    found = segments.segments_between(
        session,
        stay.id,
        min(times) - timedelta(microseconds=1),
        max(times),
        model_version_id=version.id,
    )
    held = {row.time: row for row in found}
    verdicts = []
    for one in given:
        fault = _fault(one.time, stay, now)
        if fault:
            verdicts.append({"status": "rejected", "reason": fault})
        elif one.time in held:
            verdicts.append({"status": "duplicate" if _same(held[one.time], one) else "conflict"})
        else:
            held[one.time] = _row(one, stay.id, version.id, now)
            session.add(held[one.time])
            verdicts.append({"status": "accepted"})
    session.flush()
    return verdicts


def _fault(time: datetime, stay: StayRow, now: datetime) -> str:
    """What is wrong with the end of a segment, or nothing."""
    if time < stay.admitted_at:
        return f"before the admission: expected >= {instant(stay.admitted_at)}"
    if time > now + CLOCK_LEAD:
        return f"in the future: expected <= {instant(now + CLOCK_LEAD)}"
    if time <= now - KEPT:
        return f"older than what is kept: expected > {instant(now - KEPT)}"
    return ""


def _same(row: SegmentScoreRow, given: SegmentIn) -> bool:
    held = (row.value, str(row.status), row.reason, row.channels)
    return held == (given.value, given.status, given.reason, list(given.channels))


def _row(given: SegmentIn, stay_id: int, version_id: int, at: datetime) -> SegmentScoreRow:
    return SegmentScoreRow(
        stay_id=stay_id,
        model_version_id=version_id,
        time=given.time,
        value=given.value,
        status=ScoreStatus(given.status),
        reason=given.reason,
        channels=list(given.channels),
        received_at=at,
    )


def _picture(
    session: Session,
    stay: StayRow,
    version: ModelVersionRow,
    given: Sequence[SegmentIn],
    verdicts: Sequence[Json],
) -> None:
    """Keep the pictures of segments that were accepted, as long as they are of the newest minutes."""
    newest = segments.newest_segment_time(session, stay.id)
    assert newest is not None  # one was just accepted
    accepted = zip(given, verdicts, strict=True)
    pictured = {
        one.time: one.signal for one, verdict in accepted if verdict["status"] == "accepted" and one.signal
    }
    stored = segments.segments_between(
        session, stay.id, newest - PICTURED, newest, model_version_id=version.id
    )
    for row in stored:
        if row.time in pictured:
            traces = [trace.model_dump() for trace in pictured[row.time]]
            session.add(SegmentTracesRow(segment_id=row.id, traces=traces))
    session.flush()
    segments.forget_traces(session, stay.id, newest - PICTURED)


def _judge(
    session: Session,
    stay: StayRow,
    version: ModelVersionRow,
    body: SegmentScoresIn,
    policy: AlarmPolicy,
    *,
    shown_through: datetime | None,
    at: datetime,
) -> None:
    """Alert, tile and messages from the last hour of segments."""
    newest = segments.newest_segment_time(session, stay.id, model_version_id=version.id)
    assert newest is not None  # one was just accepted
    found = segments.segments_between(session, stay.id, newest - JUDGED, newest, model_version_id=version.id)
    decisions = decisions_on(stay, found, policy)
    known = alerts_in_state(session, "all", stay.external_id, _ALERTS_READ)
    changed = update_alert(
        session,
        stay.id,
        version.id,
        decisions,
        condition=policy.condition,
        told=told_before(known, policy.condition, shown_through),
        at=at,
    )
    if changed is not None:
        facts = {"alert_id": changed.id, "stay_id": stay.external_id, "condition": str(changed.condition)}
        record(session, _ACTOR, "seizure alert changed", facts, at)
    segments.forget_segments(session, stay.id, at - KEPT)
    _publish(session, stay, recording_tile(stay, found, decisions, policy, _detector(body)), changed)


def _detector(body: SegmentScoresIn) -> Detector:
    bad = {channel.name: channel.reason for channel in body.channels if channel.bad}
    names = tuple(channel.name for channel in body.channels)
    return Detector(body.detector, body.version, timedelta(seconds=body.segment_seconds), names, bad)


def _publish(session: Session, stay: StayRow, shown: Json, changed: AlertRow | None) -> None:
    """The tile for the next first paint, and the messages for open boards; last, see `publish`."""
    stays.keep_tile(session, stay.id, shown)
    if changed is not None:
        outbox.publish(session, "alert", alert_json(changed), wall_now())
    alert = foremost(_open(session, stay))
    outbox.publish(
        session, "stay", shown | {"alert": None if alert is None else alert_json(alert)}, wall_now()
    )


def _open(session: Session, stay: StayRow) -> Iterable[AlertRow]:
    return alerts_in_state(session, stay_external_id=stay.external_id)
