"""Seizures of a recording: prepared for a detector, scored by segment, alarms turned into annotations.

The same detector and the same `AlarmPolicy` as at the bedside, so an annotation begins when the alarm would
have sounded (the end of the segment that decided it; decision 20) and ends when the condition was released:
the latency that `prodrome metrics seizures` then measures is the one people would have known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from models.clinical.alarm import AlarmPolicy, seizure_policy_at
from models.clinical.annotation import BACKGROUND, SEIZURE, AnnotatedSpan, Annotation
from models.clinical.errors import InvalidInput, UnknownModel
from models.clinical.recording import MICROVOLT, UNKNOWN_START, Recording
from models.clinical.score import Score, ScoreSeries
from models.line_length import LineLengthDetector
from models.seizure import SEGMENT_SECONDS, SeizureDetector
from pipelines.ingest.recordings.quality import best_channels, recording_quality
from pipelines.ingest.recordings.resample import resampled
from pipelines.metrics.seizures import SHORTEST_PAUSE

MOST_CHANNELS = 128
FRAME_SECONDS = 5.0
_NEXT_SEGMENT = timedelta(seconds=1.5 * SEGMENT_SECONDS)  # what ends later has a pause before it
_LONGEST_BRIDGED = timedelta(seconds=SHORTEST_PAUSE)


@dataclass(frozen=True, eq=False)
class Detection:
    """The scores of a recording and what the policy made of them.

    `span` holds the seizures; where there is none, background over what was scored; where nothing was scored,
    nothing.
    """

    series: ScoreSeries
    span: AnnotatedSpan

    @property
    def scored(self) -> int:
        """How many segments have a score."""
        return int(np.isfinite(self.series.value).sum())

    @property
    def unscored_seconds(self) -> float:
        """How much no score is about: gaps, bad signal, a past too short, less than a segment at the end."""
        return max((self.span.seconds or 0.0) - SEGMENT_SECONDS * self.scored, 0.0)


def detector_named(name: str, size: str | None = None) -> SeizureDetector:
    """A detector: `line-length`, `mvpa` (the shipped weights), a folder that `prodrome train mvpa` wrote, or
    the file of a released checkpoint, whose `size` (small or medium) must be told.

    Raises UnknownModel for anything else, UnreadableSource and UnfitCheckpoint for a file that is no such.
    """
    if name == LineLengthDetector.name:
        return LineLengthDetector()
    # torch takes seconds to import, and line length needs none of it
    from models.mvpa import MEDIUM, SMALL, load_checkpoint  # noqa: PLC0415
    from models.mvpa.detector import Detector  # noqa: PLC0415
    from models.mvpa.folder import load_detector  # noqa: PLC0415
    from models.registry import SHIPPED  # noqa: PLC0415

    path, sizes = Path(name), {"small": SMALL, "medium": MEDIUM}
    if name == Detector.name or path.is_dir():
        return load_detector(SHIPPED / name if name == Detector.name else path)
    if not path.is_file():
        raise UnknownModel(
            f"no seizure detector {name!r}; there is {LineLengthDetector.name}, {Detector.name}, "
            "a trained detector's folder, or a checkpoint file"
        )
    if size not in sizes:
        raise InvalidInput(
            f"{path.name}: a checkpoint file needs its size, {' or '.join(sizes)}, not {size}",
            value=size,
            bound=" or ".join(sizes),
        )
    return Detector(load_checkpoint(path, sizes[size]))


def policy_of(detector: SeizureDetector) -> AlarmPolicy:
    """The ward's policy at the detector's own threshold, released a tenth below it."""
    return seizure_policy_at(detector.threshold)


def prepared(recording: Recording, rate_hz: float, line_hz: float = 50.0) -> Recording:
    """What a detector reads: voltages of electrodes that are not bad, the best 128 of them, at its rate.

    Raises InvalidInput where there is none.
    """
    kept = [channel.unit == MICROVOLT and not channel.bad for channel in recording.channels]
    if not any(kept):
        raise InvalidInput(
            f"{recording.recording_id}: none of {len(kept)} channels is a voltage that is not marked bad",
            value=0,
            bound=">= 1 channel",
        )
    electrodes = resampled(recording.electrodes(), rate_hz)
    if len(electrodes.channels) <= MOST_CHANNELS:
        return electrodes
    return electrodes.select(best_channels(recording_quality(electrodes, line_hz), MOST_CHANNELS))


def left_out(recording: Recording) -> str:
    """Channels that `prepared` leaves out because they are no voltage, with their units; or nothing."""
    others = [channel for channel in recording.channels if channel.unit != MICROVOLT]
    return ", ".join(f"{channel.name} ({channel.unit or 'no unit'})" for channel in others)


def score_recording(recording: Recording, detector: SeizureDetector) -> ScoreSeries:
    """The detector's scores of a whole recording, read window by window."""
    scores = list(_scores(recording, detector))
    return ScoreSeries(
        recording.recording_id,
        "seizure",
        pd.DatetimeIndex([score.time for score in scores], tz="UTC").as_unit("us"),
        np.array([np.nan if score.value is None else score.value for score in scores]),
        tuple(score.status for score in scores),
        tuple(score.reason for score in scores),
    )


def detect(recording: Recording, detector: SeizureDetector, policy: AlarmPolicy | None = None) -> Detection:
    """The scores of a recording and its seizures by this policy; `policy_of` the detector without one."""
    series = score_recording(recording, detector)
    policy = policy or policy_of(detector)
    began = recording.started_at or UNKNOWN_START
    annotations = tuple(alarm_events(series, policy, began)) or background(series, began)
    return Detection(series, AnnotatedSpan(annotations, recording.started_at, recording.seconds))


def alarm_events(series: ScoreSeries, policy: AlarmPolicy, began: datetime) -> Iterator[Annotation]:
    """One annotation a stretch in which the condition was active and alarmed; confidence: its best score.

    It ends with the release, or with the last score before a pause: silence is no seizure. A pause shorter
    than what SzCORE joins is part of it where what follows is not below the release; after a longer one, what
    still reaches the threshold is an annotation of its own. A stretch that the refractory time silenced from
    its beginning to its end is none.
    """
    onset: datetime | None = None
    paused: datetime | None = None  # since when, unless high scores have followed
    best, last = 0.0, began
    for decision, score in zip(policy.decide(series), series, strict=True):
        if score.value is None:
            continue
        now = decision.time
        if onset is not None:
            if paused is None and now - last > _NEXT_SEGMENT:
                paused = last
            bridged = paused is None or now - paused < _LONGEST_BRIDGED
            if paused is not None and score.value >= (policy.released_below if bridged else policy.threshold):
                if not bridged:
                    yield _event(onset, paused, best, began)
                    onset, best = now, score.value
                paused = None
            if not decision.active:
                yield _event(onset, paused or now, best, began)
                onset, paused = None, None
        if decision.alarm is not None and onset is None:
            onset, best = now, score.value
        best, last = max(best, score.value), now
    if onset is not None:
        yield _event(onset, paused or last, best, began)


def background(series: ScoreSeries, began: datetime) -> tuple[Annotation, ...]:
    """One annotation a stretch of segments with a score, of a course without an alarm.

    What has no score is in none: nothing is known of it, least of all that it is calm.
    """
    stretches: list[tuple[float, float]] = []
    for score in series:
        end = (score.time - began).total_seconds()
        if score.value is None:
            continue
        if stretches and end - stretches[-1][1] <= _NEXT_SEGMENT.total_seconds():
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches.append((max(end - SEGMENT_SECONDS, 0.0), end))
    return tuple(Annotation(start, end - start, BACKGROUND) for start, end in stretches)


def _scores(recording: Recording, detector: SeizureDetector) -> Iterator[Score]:
    for frame in recording.frames(round(FRAME_SECONDS * recording.rate_hz)):
        yield from detector.feed(frame)
        yield from detector.advance(frame.start)  # a recording's clock is right: no frame is held


def _event(onset: datetime, end: datetime, best: float, began: datetime) -> Annotation:
    start = (onset - began).total_seconds()
    return Annotation(start, (end - onset).total_seconds(), SEIZURE, round(best, 4))
