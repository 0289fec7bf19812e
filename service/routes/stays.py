"""Stays: announce them, list the ward, look at one, now or as it was known at an earlier time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from db.queries import outbox, scores, stays
from db.queries.alerts import alerts_in_state
from db.queries.audit import record
from db.rows import AlertRow, StayRow
from db.session import reading
from models.clinical.errors import InvalidInput
from models.clinical.quarantine import CLOCK_LEAD
from service.alerting import foremost
from service.answers import (
    Json,
    alert_json,
    held_tile,
    instant,
    model_json,
    policy_json,
    score_json,
    stay_facts,
)
from service.clock import wall_now
from service.context import Context, Parts
from service.problems import NotFound, ScoringRefused, ScoringUnavailable
from service.schemas import Instant, StayIn
from service.stay_view import current_scores, stay_view

router = APIRouter(prefix="/v1/stays", tags=["stays"])

_WARD_ALERTS = 10_000  # at most one open alert a stay and condition: more than any ward has beds

AsOf = Annotated[Instant | None, Query(description="Everything as it was known at this time")]


@router.post(
    "", responses={201: {"description": "A new stay"}, 409: {"description": "Contradicts what is stored"}}
)
def announce(parts: Parts, body: StayIn, response: Response) -> Json:
    """Announce a stay, or update where it lies and when it was discharged."""
    at = parts.clock.now()
    _refuse_future(body.admitted_at, at)
    with parts.writing() as session:
        stay, created = stays.upsert_stay(session, stays.StayFacts(**body.model_dump()))
        if created or stay.tile is None or not stay_facts(stay).items() <= stay.tile.items():
            _publish(session, stay, "stay created" if created else "stay updated", at)
    response.status_code = 201 if created else 200
    return body.model_dump(mode="json")


def _refuse_future(admitted_at: datetime, now: datetime) -> None:
    """A mistyped year would have every observation of the stay refused as before its admission."""
    if admitted_at > now + CLOCK_LEAD:
        latest = instant(now + CLOCK_LEAD)
        raise InvalidInput(
            f"admitted_at {instant(admitted_at)} is in the future: expected <= {latest}",
            value=instant(admitted_at),
            bound=f"<= {latest}",
        )


@router.get("")
def ward(parts: Parts, care_unit: str | None = None) -> Json:
    """The board's first paint: every bed that is not discharged, and where the feed goes on."""
    now = parts.clock.now()
    with reading(parts.engine) as session:
        alerts = _by_stay(alerts_in_state(session, limit=_WARD_ALERTS))
        version = scores.active_model_version(session)
        return {
            "now": instant(now),
            "clock": {"speed": parts.clock.speed, "simulated": parts.clock.simulated},
            "model": model_json(version, parts.settings.model),
            "policy": policy_json(version),
            "care_units": stays.care_units(session, now),
            "last_event_id": outbox.newest_message_id(session),
            "stays": [
                held_tile(stay, alerts.get(stay.id)) for stay in stays.stays_of_ward(session, now, care_unit)
            ],
        }


@router.get("/{stay_id:path}/scores")
def scores_of_stay(parts: Parts, stay_id: str, as_of: AsOf = None, revisions: bool = False) -> Json:
    """The stay's scores by time: the newest revision of each, or every revision."""
    with reading(parts.engine) as session:
        stay = _stay(session, stay_id)
        version = scores.active_model_version(session)
        if revisions and version is not None:
            found = scores.score_revisions(session, stay.id, version.id, as_of=as_of)
        else:
            found = current_scores(session, stay, version, as_of)
        model = model_json(version, parts.settings.model)
        return {
            "stay_id": stay_id,
            "model": model["name"],
            "version": model["version"],
            "scores": [score_json(score) for score in found],
        }


@router.get("/{stay_id:path}")
def one_stay(parts: Parts, stay_id: str, as_of: AsOf = None) -> Json:
    """One stay with its scores, observations and alerts."""
    now = parts.clock.now()
    with reading(parts.engine) as session:
        stay = _stay(session, stay_id)
        version = scores.active_model_version(session)
        view = stay_view(session, stay, version, as_of)
    if as_of is not None and view["stay"]["score"]["value"] is not None:
        view["stay"]["drivers"] = _drivers(parts, stay_id, view["stay"]["score"]["time"])
    return {
        **view,
        "now": instant(now),
        "as_of": instant(as_of),
        "model": model_json(version, parts.settings.model),
        "policy": policy_json(version),
    }


def _by_stay(open_alerts: Sequence[AlertRow]) -> dict[int, Json]:
    found: dict[int, list[AlertRow]] = {}
    for alert in open_alerts:
        found.setdefault(alert.stay_id, []).append(alert)
    chosen = {stay_id: foremost(group) for stay_id, group in found.items()}
    return {stay_id: alert_json(alert) for stay_id, alert in chosen.items() if alert is not None}


def _publish(session: Session, stay: StayRow, what: str, at: datetime) -> None:
    stays.keep_tile(session, stay.id, held_tile(stay, None))
    record(session, "api", what, {"stay_id": stay.external_id}, at)
    alert = foremost(alerts_in_state(session, stay_external_id=stay.external_id))
    shown = held_tile(stay, None if alert is None else alert_json(alert))
    outbox.publish(session, "stay", shown, wall_now())


def _stay(session: Session, stay_id: str) -> StayRow:
    stay = stays.stay_by_external_id(session, stay_id)
    if stay is None:
        raise NotFound(f"no stay {stay_id!r}")
    return stay


def _drivers(parts: Context, stay_id: str, time: str) -> list[Json]:
    """What drove a past score: the models live in the worker, and a view without drivers beats no view."""
    try:
        drivers: list[Json] = parts.scoring.ask("explain", {"stay_id": stay_id, "time": time})["drivers"]
    except (ScoringUnavailable, ScoringRefused):
        return []
    return drivers
