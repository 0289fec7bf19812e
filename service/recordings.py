"""A bed with a live recording: its segments judged by the alarm policy, and its tile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from db.rows import SegmentScoreRow, StayRow
from models.clinical.alarm import AlarmDecision, AlarmPolicy
from models.clinical.contacts import by_shaft, contact_ranges
from models.clinical.score import Score, ScoreStatus
from service.answers import Json, instant, stay_facts

JUDGED = timedelta(hours=1)  # what the policy is shown: far more than its delays and its refractory time
KEPT = timedelta(hours=24)  # after that a stay's segments are forgotten: at most 17,280 of 5 s
PICTURED = timedelta(minutes=5)  # of signal, as lowest and highest values: at most 60 pictures of 5 s
SPARKLINE = timedelta(minutes=10)
_MOST_NAMED = (
    6  # channels of an episode, the most involved of its first segment: where it began, not where it went
)


@dataclass(frozen=True)
class Detector:
    """What scored, as its tile tells it, and the electrodes it listens to; `bad` ones with the reason."""

    name: str
    version: str
    segment: timedelta
    channels: tuple[str, ...]
    bad: dict[str, str]


@dataclass(frozen=True)
class Episode:
    """One stretch in which the condition was active, from its first high segment to its last."""

    began: datetime
    ended: datetime
    going_on: bool
    channels: tuple[str, ...]


def decisions_on(
    stay: StayRow, segments: Sequence[SegmentScoreRow], policy: AlarmPolicy
) -> list[AlarmDecision]:
    """What the policy holds at each segment."""
    scores = (Score(row.time, row.value, row.status, row.reason) for row in segments)
    return policy.decide_on(stay.external_id, scores)


def newest_episode(
    segments: Sequence[SegmentScoreRow],
    decisions: Sequence[AlarmDecision],
    policy: AlarmPolicy,
    segment: timedelta,
) -> Episode | None:
    """The last stretch in which the condition was active; None where it was not."""
    active = [place for place, decision in enumerate(decisions) if decision.active]
    if not active:
        return None
    last = first = active[-1]
    while first > 0 and decisions[first - 1].active:
        first -= 1
    while first > 0 and _reaches(segments[first - 1], policy.threshold):
        first -= 1
    end = next(
        (place for place in range(last, first, -1) if _reaches(segments[place], policy.released_below)), first
    )
    named = tuple(segments[first].channels[:_MOST_NAMED])
    return Episode(segments[first].time - segment, segments[end].time, last == len(decisions) - 1, named)


def recording_tile(
    stay: StayRow,
    segments: Sequence[SegmentScoreRow],
    decisions: Sequence[AlarmDecision],
    policy: AlarmPolicy,
    detector: Detector,
) -> Json:
    """The bed on the board, without its alert; `segments` (at least one) by time, with a decision each."""
    newest = segments[-1]
    heard = next((row.time for row in reversed(segments) if row.status is ScoreStatus.PRESENT), None)
    episode = newest_episode(segments, decisions, policy, detector.segment)
    return {
        **stay_facts(stay),
        "last_data_at": instant(heard),
        "usual_gap_minutes": detector.segment / timedelta(minutes=1),
        "score": segment_score(newest),
        "change": None,
        "sparkline": [
            [instant(row.time), row.value] for row in segments if row.time > newest.time - SPARKLINE
        ],
        "drivers": [],
        "recording": {
            "condition": policy.condition,
            "detector": detector.name,
            "version": detector.version,
            "threshold": policy.threshold,
            "segment_seconds": detector.segment.total_seconds(),
            "sparkline_minutes": SPARKLINE / timedelta(minutes=1),
            "episode": _shown_episode(_held_episode(stay), episode),
            "shafts": [[shaft, names] for shaft, names in by_shaft(detector.channels).items()],
            "bad": [{"channel": name, "reason": reason} for name, reason in detector.bad.items()],
        },
    }


def segment_score(row: SegmentScoreRow) -> Json:
    """A segment's score as a tile tells a score."""
    told = {"value": row.value, "status": str(row.status), "reason": row.reason}
    return {"time": instant(row.time), **told, "low": None, "high": None}


def _held_episode(stay: StayRow) -> Json | None:
    """The newest episode of before: an alert may wait for an answer longer than the policy looks back."""
    held: Json | None = ((stay.tile or {}).get("recording") or {}).get("episode")
    return held


def _shown_episode(held: Json | None, found: Episode | None) -> Json | None:
    """What was found, or what was held; when the policy no longer sees where an episode began, both."""
    if found is None:
        return None if held is None else held | {"going_on": False}
    told = _episode_json(found)
    if held is None or not held["began"] < told["began"] <= held["ended"]:
        return told
    seconds = (found.ended - datetime.fromisoformat(held["began"])).total_seconds()
    return told | {"began": held["began"], "seconds": seconds, "channels": held["channels"]}


def _episode_json(episode: Episode) -> Json:
    return {
        "began": instant(episode.began),
        "ended": instant(episode.ended),
        "seconds": (episode.ended - episode.began).total_seconds(),
        "going_on": episode.going_on,
        "channels": contact_ranges(episode.channels),
    }


def _reaches(row: SegmentScoreRow, bound: float) -> bool:
    return row.value is not None and row.value >= bound
