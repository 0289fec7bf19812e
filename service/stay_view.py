"""The stay view: one stay with everything that was known of it, now or at an earlier time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from db.queries.alerts import alerts_in_state
from db.queries.observations import observations_of
from db.queries.scores import latest_scores, score_of, score_revisions
from db.queries.segments import segments_between
from db.rows import AlertRow, ModelVersionRow, ObservationRow, ScoreRow, StayRow
from models.clinical.score import Score
from models.clinical.variables import CATALOGUE
from service.alert_history import alert_as_of
from service.answers import (
    Json,
    alert_with_events,
    held_tile,
    instant,
    score_json,
    tile,
    usual_gap_minutes,
)
from service.recordings import SPARKLINE, segment_score


def stay_view(
    session: Session, stay: StayRow, version: ModelVersionRow | None, as_of: datetime | None
) -> Json:
    """The stay, its scores, observations and alerts as they were known at `as_of`, or now."""
    observations = observations_of(session, stay.id, known_by=as_of)
    scores = current_scores(session, stay, version, as_of)
    alerts = _alerts(alerts_in_state(session, "all", stay.external_id), as_of)
    return {
        "stay": {
            **_tile(stay, scores, observations, alerts, as_of),
            **_recording(session, stay, as_of),
            "subject_id": stay.subject.external_id,
            "age_years": stay.age_years,
            "sex": stay.sex,
        },
        "scores": [score_json(score) for score in scores],
        "observations": _by_variable(observations, as_of),
        "variables": _variables({row.variable for row in observations}),
        "alerts": alerts,
    }


def current_scores(
    session: Session, stay: StayRow, version: ModelVersionRow | None, as_of: datetime | None
) -> Sequence[ScoreRow]:
    """The score of each hour as it is now, or as it stood at `as_of`.

    An hour that was scored later (a stay that was sent after the fact) stands with its first revision: by
    causality that is what the model would have said then.
    """
    if version is None:
        return []
    if as_of is None:
        return latest_scores(session, stay.id, version.id)
    standing: dict[datetime, ScoreRow] = {}
    for row in score_revisions(session, stay.id, version.id):
        if row.time <= as_of and (row.revision == 1 or row.created_at <= as_of):
            standing[row.time] = row
    return list(standing.values())


def scores_of(rows: Iterable[ScoreRow]) -> list[Score]:
    """Stored scores as scores."""
    return [score_of(row) for row in rows]


def _alerts(alerts: Sequence[AlertRow], as_of: datetime | None) -> list[Json]:
    if as_of is None:
        return [alert_with_events(alert) for alert in alerts]
    told = (alert_as_of(alert, as_of) for alert in alerts)
    return [alert for alert in told if alert is not None]


def _tile(
    stay: StayRow,
    scores: Sequence[ScoreRow],
    observations: Sequence[ObservationRow],
    alerts: Sequence[Json],
    as_of: datetime | None,
) -> Json:
    is_open = next((alert for alert in alerts if alert["closed_at"] is None), None)
    alert = None if is_open is None else {name: is_open[name] for name in is_open if name != "events"}
    if as_of is None:
        return held_tile(stay, alert)
    return tile(
        stay,
        scores_of(scores),
        last_data_at=observations[-1].known_at if observations else None,
        usual_gap_minutes=usual_gap_minutes(row.time for row in observations),
        drivers=[],
        alert=alert,
    )


def _recording(session: Session, stay: StayRow, as_of: datetime | None) -> Json:
    """What a live recording's tile said at `as_of`; which channels were bad then is not kept."""
    recording = (stay.tile or {}).get("recording")
    if as_of is None or not recording:
        return {}
    found = segments_between(session, stay.id, as_of - SPARKLINE, as_of)
    known = [row for row in found if row.received_at <= as_of]
    if not known:
        return {}
    return {
        "score": segment_score(known[-1]),
        "last_data_at": instant(known[-1].time),
        "recording": recording | {"episode": None, "bad": None},
    }


def _by_variable(observations: Sequence[ObservationRow], as_of: datetime | None) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for row in observations:
        found.setdefault(row.variable, []).append(_reading(row, as_of))
    return found


def _reading(row: ObservationRow, as_of: datetime | None) -> Json:
    """One version; what was corrected or withdrawn after `as_of` still stood then."""
    ended = row.known_until is not None and (as_of is None or row.known_until <= as_of)
    return {
        "time": instant(row.time),
        "known_at": instant(row.known_at),
        "known_until": instant(row.known_until) if ended else None,
        "value": row.value,
        "censored": row.censored,
        "identifier": row.identifier or None,
        "status": row.status,
    }


def _variables(names: set[str]) -> Json:
    return {
        name: {
            "label": variable.label,
            "short": variable.short,
            "unit": variable.unit,
            "normal": list(variable.normal),
        }
        for name, variable in CATALOGUE.items()
        if name in names
    }
