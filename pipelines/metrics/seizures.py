"""Seizure detection, scored: events, samples, agreement on 5 s epochs, latency.

Event and sample figures are those of SzCORE, number for number what `timescoring` 0.0.7 computes.

*Event scoring*, at 10 Hz, on reference and hypothesis alike: an event that begins less than 90 s after the
one before it ended is joined to it (the joined event ends where the later one ends); what is longer than 5
minutes is cut into pieces of 5 minutes. A reference event reaches 30 s before and 60 s after itself, within
the recording; it is detected where any hypothesis lies in that reach. A hypothesis event that touches no
detected reach is false.

*Sample scoring*, at 1 Hz: a sample is positive where an event covers it.

Times round to samples half to even, as Python's `round` does. Several recordings are pooled by adding up
their counts before any ratio is taken. A figure whose denominator is 0 is None.

*Kappa* is Cohen's, on epochs of 5 s from the start of the recording, the last of which may be shorter: an
epoch is positive where an event of more than no length covers any part of it.

*Latency* is the onset of the first hypothesis event in a detected reference event's reach, less the reference
onset, in seconds (negative where the detection came first); the median over detected reference events,
joined as above and not cut.

Source: Dan et al. 2024, SzCORE, doi:10.1111/epi.18113; https://github.com/esl-epfl/timescoring.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput

Event = tuple[float, float]  # onset and end, seconds after the start of the recording

EVENT_RATE_HZ, SAMPLE_RATE_HZ = 10, 1
TOLERANCE_BEFORE, TOLERANCE_AFTER = 30.0, 60.0  # seconds
SMALLEST_OVERLAP = 1e-6  # of the reach: any overlap at all, but not the rounding of a sum
LONGEST_EVENT = 300.0  # seconds
SHORTEST_PAUSE = 90.0  # seconds
EPOCH_SECONDS = 5.0
DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class ScoredRecording:
    """One recording of `seconds` with what is true of it and what was said of it, in order of onset.

    Raises InvalidInput unless every event has 0 <= onset <= end.
    """

    seconds: float
    reference: Sequence[Event]
    hypothesis: Sequence[Event]

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds >= 0.0):
            raise InvalidInput(
                f"recording of {self.seconds} s: must be finite and >= 0 s",
                value=self.seconds,
                bound=">= 0",
                unit="s",
            )
        for onset, end in (*self.reference, *self.hypothesis):
            if not 0.0 <= onset <= end < math.inf:
                raise InvalidInput(
                    f"event from {onset} s to {end} s: must satisfy 0 <= onset <= end",
                    value=onset,
                    bound="0 <= onset <= end",
                    unit="s",
                )


@dataclass(frozen=True)
class Counts:
    """How many reference events (or samples) there are, how many were found, and how many were invented."""

    positive: int = 0
    found: int = 0
    false: int = 0
    seconds: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.positive + other.positive,
            self.found + other.found,
            self.false + other.false,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class DetectionFigures:
    """Ratios of counts, None where a denominator is 0."""

    sensitivity: float | None
    precision: float | None
    f1: float | None
    fp_per_24h: float | None


@dataclass(frozen=True)
class SeizureMetrics:
    """Every figure of a detector on one set of recordings."""

    event: DetectionFigures
    sample: DetectionFigures
    kappa_5s: float | None
    latency_s: float | None

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON holds them."""
        return asdict(self)


def score_seizures(recordings: Sequence[ScoredRecording]) -> SeizureMetrics:
    """The figures of all recordings together."""
    latencies = [latency for recording in recordings for latency in detection_latencies(recording)]
    return SeizureMetrics(
        event=figures(sum(map(event_counts, recordings), Counts())),
        sample=figures(sum(map(sample_counts, recordings), Counts())),
        kappa_5s=cohens_kappa(recordings),
        latency_s=median(latencies) if latencies else None,
    )


def figures(counts: Counts) -> DetectionFigures:
    """Sensitivity, precision, F1 = 2 found / (positive + found + false), and false ones in 24 h."""
    positive, found, false = counts.positive, counts.found, counts.false
    return DetectionFigures(
        sensitivity=found / positive if positive else None,
        precision=found / (found + false) if found + false else None,
        f1=2 * found / (2 * found + false + (positive - found)) if positive + false else None,
        fp_per_24h=false / (counts.seconds / 3600 / 24) if counts.seconds else None,
    )


def event_counts(recording: ScoredRecording) -> Counts:
    """Reference events, those detected, and false hypothesis events."""
    length = round(recording.seconds * EVENT_RATE_HZ)
    reference = _cut(_joined(recording.reference))
    hypothesis = _cut(_joined(recording.hypothesis))
    said, touched = _mask(hypothesis, EVENT_RATE_HZ, length), np.zeros(length, dtype=np.bool_)
    found = 0
    for reach in (_reach(event, length / EVENT_RATE_HZ) for event in reference):
        if _is_in_reach(said, reach):
            found += 1
            touched[_samples(reach, EVENT_RATE_HZ)] = True
    false = sum(not touched[_samples(event, EVENT_RATE_HZ)].any() for event in hypothesis)
    return Counts(len(reference), found, false, length / EVENT_RATE_HZ)


def alarm_counts(recording: ScoredRecording) -> Counts:
    """`event_counts`, in which an alarm finds a seizure only where it begins in its reach.

    One that began before and is still on finds none and is false, each 5 minutes of it: whoever was called
    found no seizure. So no more is found here than by the event rule, and no less is false.
    """
    reaches = [_reach(event, recording.seconds) for event in _joined(recording.reference)]
    timely = [one for one in recording.hypothesis if any(start <= one[0] < end for start, end in reaches)]
    others = [one for one in recording.hypothesis if one not in timely]
    found = event_counts(replace(recording, hypothesis=timely))
    false = found.false + len(_cut(_joined(others)))
    return replace(found, false=max(false, event_counts(recording).false))


def sample_counts(recording: ScoredRecording) -> Counts:
    """Positive samples at 1 Hz, those found, and those invented."""
    length = round(recording.seconds * SAMPLE_RATE_HZ)
    true = _mask(recording.reference, SAMPLE_RATE_HZ, length)
    said = _mask(recording.hypothesis, SAMPLE_RATE_HZ, length)
    return Counts(
        int(true.sum()), int((true & said).sum()), int((~true & said).sum()), length / SAMPLE_RATE_HZ
    )


def cohens_kappa(recordings: Sequence[ScoredRecording]) -> float | None:
    """(agreement - agreement by chance) / (1 - agreement by chance) over all 5 s epochs, None for 0 / 0."""
    pairs = [
        (_epochs(one.reference, one.seconds), _epochs(one.hypothesis, one.seconds)) for one in recordings
    ]
    if not sum(len(true) for true, _ in pairs):
        return None
    true = np.concatenate([pair[0] for pair in pairs])
    said = np.concatenate([pair[1] for pair in pairs])
    share_true, share_said = float(true.mean()), float(said.mean())
    by_chance = share_true * share_said + (1 - share_true) * (1 - share_said)
    if by_chance == 1.0:
        return None
    return (float((true == said).mean()) - by_chance) / (1 - by_chance)


def detection_latencies(recording: ScoredRecording) -> list[float]:
    """Seconds from each detected reference onset to the first hypothesis onset in its reach."""
    hypothesis = _joined(recording.hypothesis)
    latencies = []
    for event in _joined(recording.reference):
        start, end = _reach(event, recording.seconds)
        onsets = [said[0] for said in hypothesis if said[0] < end and said[1] > start and said[1] > said[0]]
        if onsets:
            latencies.append(min(onsets) - event[0])
    return latencies


def _joined(events: Sequence[Event]) -> list[Event]:
    joined: list[Event] = []
    for onset, end in events:
        if joined and onset - joined[-1][1] < SHORTEST_PAUSE:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((onset, end))
    return joined


def _cut(events: Sequence[Event]) -> list[Event]:
    pieces: list[Event] = []
    for onset, end in events:
        start = onset
        while end - start > LONGEST_EVENT:
            pieces.append((start, start + LONGEST_EVENT))
            start += LONGEST_EVENT
        pieces.append((start, end))
    return pieces


def _reach(event: Event, seconds: float) -> Event:
    return max(0.0, event[0] - TOLERANCE_BEFORE), min(seconds, event[1] + TOLERANCE_AFTER)


def _is_in_reach(said: npt.NDArray[np.bool_], reach: Event) -> bool:
    start, end = reach
    covered = float(said[_samples(reach, EVENT_RATE_HZ)].sum()) / EVENT_RATE_HZ
    return end > start and covered / (end - start) > SMALLEST_OVERLAP


def _samples(event: Event, rate_hz: int) -> slice:
    return slice(round(event[0] * rate_hz), round(event[1] * rate_hz))


def _mask(events: Sequence[Event], rate_hz: int, length: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros(length, dtype=np.bool_)
    for event in events:
        mask[_samples(event, rate_hz)] = True
    return mask


def _epochs(events: Sequence[Event], seconds: float) -> npt.NDArray[np.bool_]:
    epochs = np.zeros(math.ceil(seconds / EPOCH_SECONDS), dtype=np.bool_)
    for onset, end in events:
        if end > onset:
            epochs[math.floor(onset / EPOCH_SECONDS) : math.ceil(end / EPOCH_SECONDS)] = True
    return epochs
