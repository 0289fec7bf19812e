"""One scoring pass over one stay: load, score, decide, and commit the whole outcome in one transaction."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from db.queries import audit, due, outbox, scores, stays
from db.queries.alerts import alerts_in_state, open_alert
from db.queries.clinical import clinical_stay
from db.queries.observations import observations_of
from db.rows import AlertRow, ObservationRow, ScoreRow, StayRow
from db.session import reading, writing
from models.clinical.alarm import AlarmPolicy
from models.clinical.errors import InvalidInput
from models.clinical.score import GRID_STEP, Score, ScoreSeries, ScoreStatus
from models.clinical.stay import Stay
from models.clinical.variables import CATALOGUE
from service.alerting import Told, told_before, update_alert
from service.answers import Json, alert_json, driver, tile, usual_gap_minutes
from service.clock import Clock, wall_now
from service.problems import readable
from service.stay_view import scores_of

if TYPE_CHECKING:
    from models.base import EarlyWarningModel

_log = logging.getLogger(__name__)

_DRIVERS = 3
# a year: a stay that seems longer has a wrong admission time, and its grid would fill memory
_LONGEST_HOURS = 366 * 24


@dataclass(frozen=True)
class Scorer:
    """A model with its policy, under the identifier it has in the database."""

    engine: Engine
    clock: Clock
    worker_id: str
    model: EarlyWarningModel
    version_id: int
    policy: AlarmPolicy


@dataclass(frozen=True)
class _Known:
    """What is stored of a stay when its pass begins, and who scores it."""

    scorer: Scorer
    stay: StayRow
    observations: Sequence[ObservationRow]
    held: Sequence[ScoreRow]
    told: Told

    @property
    def watermark(self) -> int:
        """The newest observation of this pass."""
        return max((row.id for row in self.observations), default=0)


@dataclass(frozen=True)
class _Outcome:
    """What the models say: the whole series, and what drives its newest score."""

    series: ScoreSeries
    drivers: Sequence[Json]


def score_stay(scorer: Scorer, stay_id: int) -> None:
    """Bring one claimed stay up to date. A model that fails leaves an absent score and the claim's lease."""
    known = _load(scorer, stay_id)
    now = scorer.clock.now()
    end = known.stay.admitted_at + hours_to_score(known.stay, now) * GRID_STEP
    if _nothing_to_compute(known, end):
        _commit_unchanged(known, end)
        return
    try:
        outcome = _compute(known, end)
    except Exception as error:  # whatever a model does, the other stays go on
        _log.exception("stay %s could not be scored", known.stay.external_id)
        _commit_failure(known, end, error)
        return
    _commit(known, outcome, end)


def hours_to_score(stay: StayRow, now: datetime) -> int:
    """How many grid hours to score: to the hour that covers the newest data, and on to the last full hour
    while the newest data are young and the stay goes on; never an hour the clock has not reached, and never
    fewer than before.
    """
    reached = max((now - stay.admitted_at) // GRID_STEP, 0)
    if stay.last_known_at is None:
        return 0
    covering = -(-(stay.last_known_at - stay.admitted_at) // GRID_STEP)
    discharged = stay.discharged_at is not None and stay.discharged_at <= now
    watched = stay.last_known_at > now - due.SILENCE_SCORED and not discharged
    before = (stay.scored_through - stay.admitted_at) // GRID_STEP if stay.scored_through else 0
    return max(min(reached, max(covering, reached if watched else 0)), before)


def _load(scorer: Scorer, stay_id: int) -> _Known:
    with reading(scorer.engine) as session:
        stay = session.get_one(StayRow, stay_id)
        alerts = alerts_in_state(session, "all", stay.external_id)
        shown_through = scores.shown_through(session, stay_id)
        return _Known(
            scorer,
            stay,
            observations_of(session, stay_id),
            scores.latest_scores(session, stay_id, scorer.version_id),
            told_before(alerts, scorer.policy.condition, shown_through),
        )


def _nothing_to_compute(known: _Known, end: datetime) -> bool:
    """By causality the scores up to `end` change only with what was known by `end`."""
    if end == known.stay.admitted_at:
        return True
    hours = (end - known.stay.admitted_at) // GRID_STEP
    complete = known.stay.scored_through == end and len(known.held) == hours
    if known.stay.withdrawals != known.stay.scored_withdrawals:
        return False
    seen = known.stay.scored_observation_id
    return complete and not any(row.id > seen and row.known_at <= end for row in known.observations)


def _compute(known: _Known, end: datetime) -> _Outcome:
    refuse_endless(known.stay.admitted_at, end)
    stay = clinical_stay(known.stay, known.observations)
    series = known.scorer.model.score(stay, end)
    return _Outcome(series, [] if np.isnan(series.value[-1]) else drivers_at(known.scorer.model, stay, end))


def refuse_endless(admitted_at: datetime, end: datetime) -> None:
    """Raises InvalidInput for a stay so long that its admission time must be wrong."""
    hours = (end - admitted_at) / GRID_STEP
    if hours > _LONGEST_HOURS:
        raise InvalidInput(
            f"the stay lasts {hours:.0f} h, more than {_LONGEST_HOURS} h: check its admission time",
            value=round(hours),
            bound=f"<= {_LONGEST_HOURS}",
            unit="h",
        )


def drivers_at(model: EarlyWarningModel, stay: Stay, time: datetime) -> list[Json]:
    """The variables that move the score at `time` most, with their last values."""
    return contributions_at(model, stay, time)[:_DRIVERS]


def contributions_at(model: EarlyWarningModel, stay: Stay, time: datetime) -> list[Json]:
    """Every variable that moves the score at `time`, by falling absolute share."""
    return [
        driver(part.variable, part.value, part.time, part.share, part.censored)
        for part in model.explain(stay, time).contributions
        if part.variable in CATALOGUE
    ]


def _commit(known: _Known, outcome: _Outcome, end: datetime) -> None:
    """Scores, alert, audit record, tile and messages: all of them or none."""
    at, stay_id = known.scorer.clock.now(), known.stay.id
    decisions = known.scorer.policy.decide(outcome.series)
    with writing(known.scorer.engine) as session:
        _mark(session, known, end)
        written = scores.store_scores(
            session,
            stay_id,
            known.scorer.version_id,
            outcome.series,
            observation_watermark=known.watermark,
            created_at=at,
        )
        changed = update_alert(
            session,
            stay_id,
            known.scorer.version_id,
            decisions,
            condition=known.scorer.policy.condition,
            told=known.told,
            at=at,
        )
        _record(session, known, "scored", at, {"through": end.isoformat(), **_digest(written)})
        _publish(session, known, list(outcome.series), outcome.drivers, changed)


def _commit_unchanged(known: _Known, end: datetime) -> None:
    drivers = (known.stay.tile or {}).get("drivers", [])
    with writing(known.scorer.engine) as session:
        _mark(session, known, end)
        _publish(session, known, scores_of(known.held), drivers, None)


def _commit_failure(known: _Known, end: datetime, error: Exception) -> None:
    """The newest hour has no score and says why; the claim stays, so that its lease spaces the retries."""
    at = known.scorer.clock.now()
    reason = str(error) if isinstance(error, InvalidInput) else f"the model failed ({type(error).__name__})"
    failed = Score(end, None, ScoreStatus.ABSENT, reason)
    with writing(known.scorer.engine) as session:
        scores.store_scores(
            session,
            known.stay.id,
            known.scorer.version_id,
            _series(known, failed),
            observation_watermark=known.watermark,
            created_at=at,
        )
        detail = {"through": end.isoformat(), "error": readable(error)}
        _record(session, known, "scoring failed", at, detail)
        earlier = [score for score in scores_of(known.held) if score.time < end]
        _publish(session, known, [*earlier, failed], [], None)


def _series(known: _Known, score: Score) -> ScoreSeries:
    time = pd.DatetimeIndex([score.time]).as_unit("us")
    value = np.array([np.nan])
    name = known.stay.external_id
    return ScoreSeries(name, known.scorer.model.name, time, value, (score.status,), (score.reason,))


def _mark(session: Session, known: _Known, end: datetime) -> None:
    through = None if end == known.stay.admitted_at else end
    due.mark_scored(
        session,
        known.stay.id,
        known.scorer.worker_id,
        observation_id=known.watermark,
        withdrawals=known.stay.withdrawals,
        through=through,
    )


def _record(session: Session, known: _Known, what: str, at: datetime, detail: Json) -> None:
    told = {
        "stay_id": known.stay.external_id,
        "model": known.scorer.model.name,
        "version": known.scorer.model.version,
        "observation_watermark": known.watermark,
        "withdrawals": known.stay.withdrawals,
    }
    audit.record(session, known.scorer.worker_id, what, told | detail, at)


def _digest(written: Sequence[ScoreRow]) -> Json:
    text = "\n".join(
        f"{row.time.isoformat()} {row.revision} {row.value!r} {row.low!r} {row.high!r}"
        f" {row.status} {row.reason}"
        for row in written
    )
    return {"scores_written": len(written), "scores_sha256": hashlib.sha256(text.encode()).hexdigest()}


def _publish(
    session: Session,
    known: _Known,
    series: Sequence[Score],
    drivers: Sequence[Json],
    changed: AlertRow | None,
) -> None:
    """The tile for the next first paint, and the messages for open boards; last, see `publish`."""
    stay = session.get_one(StayRow, known.stay.id)
    if (stay.tile or {}).get("recording"):  # a live recording made this tile, and makes the next in seconds
        if changed is not None:
            outbox.publish(session, "alert", alert_json(changed), wall_now())
        return
    alert = open_alert(session, stay.id, known.scorer.policy.condition)
    shown = tile(
        stay,
        series,
        last_data_at=stay.last_known_at,
        usual_gap_minutes=usual_gap_minutes(row.time for row in known.observations),
        drivers=drivers,
        alert=None,
    )
    stays.keep_tile(session, stay.id, shown)
    if changed is not None:
        outbox.publish(session, "alert", alert_json(changed), wall_now())
    outbox.publish(
        session, "stay", shown | {"alert": None if alert is None else alert_json(alert)}, wall_now()
    )
