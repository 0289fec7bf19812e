"""Seizure detections on disk against what is true: two SzCORE tables, of one recording or of several.

Recordings are paired by `dateTime`; where each table holds one recording (or none), the two are a pair
unless both state a `dateTime` and differ by a second or more. A recording that only the reference names had
no detection. The length comes from `recordingDuration` of either side; where neither states it, figures that
need it are None. What begins after its recording's end is scored as `timescoring` scores it: such a detection
is false, such a seizure one that nothing finds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from models.clinical.annotation import AnnotatedSpan
from models.clinical.errors import InvalidInput
from pipelines.ingest.annotations import AnnotationTable, read_szcore
from pipelines.metrics.seizures import Event, ScoredRecording, SeizureMetrics, score_seizures


@dataclass(frozen=True)
class ScoredFiles:
    """The figures, a sentence for each row of either table that could not be used, and one for each that was
    scored although it lies beyond the recording."""

    metrics: SeizureMetrics
    complaints: tuple[str, ...]
    beyond: tuple[str, ...] = ()


def score_files(reference: Path, hypothesis: Path) -> ScoredFiles:
    """The figures of one table of detections against one of truth.

    Raises UnreadableSource where a file is no table or has no column of event types, and InvalidInput where
    the two disagree about a recording: one that only the hypothesis names, two single ones of different
    times, or two lengths of one.
    """
    true, said = read_szcore(reference), read_szcore(hypothesis)
    pairs = _pairs(true, said)
    recordings = [_scored(*pair, said.path) for pair in pairs]
    metrics = score_seizures(recordings)
    if any(_seconds(*pair) is None for pair in pairs):
        metrics = _without_length(metrics)
    return ScoredFiles(metrics, (*true.complaints(), *said.complaints()), (*true.beyond(), *said.beyond()))


def _pairs(true: AnnotationTable, said: AnnotationTable) -> list[tuple[AnnotatedSpan, AnnotatedSpan]]:
    nothing = AnnotatedSpan(())
    if len(true.spans) <= 1 and len(said.spans) <= 1:
        pair = (next(iter(true.spans), nothing), next(iter(said.spans), nothing))
        _require_one_time(*pair, true.path, said.path)
        return [pair]
    known = {span.started_at: span for span in true.spans}
    given = {span.started_at: span for span in said.spans}
    if lone := sorted(_called(start) for start in given.keys() - known.keys()):
        raise InvalidInput(
            f"{said.path}: {lone[0]} is not in {true.path}; expected those of the reference",
            value=lone[0],
            bound="a dateTime of the reference",
        )
    return [(span, given.get(start, nothing)) for start, span in known.items()]


def _require_one_time(true: AnnotatedSpan, said: AnnotatedSpan, reference: Path, path: Path) -> None:
    began, claimed = true.started_at, said.started_at
    if began is not None and claimed is not None and abs(claimed - began) >= timedelta(seconds=1):
        raise InvalidInput(
            f"{path}: {_called(claimed)}, {reference}: {_called(began)}; expected the same to a second",
            value=str(claimed),
            bound=str(began),
        )


def _called(started_at: datetime | None) -> str:
    return "a recording without a dateTime" if started_at is None else f"the recording of {started_at}"


def _scored(true: AnnotatedSpan, said: AnnotatedSpan, path: Path) -> ScoredRecording:
    lengths = [span.seconds for span in (true, said) if span.seconds is not None]
    if lengths and max(lengths) - min(lengths) >= 1.0:
        raise InvalidInput(
            f"{path}: {_called(said.started_at)} has {said.seconds} s, the reference {true.seconds} s; "
            "expected the same to a second",
            value=said.seconds,
            bound=f"{true.seconds}",
            unit="s",
        )
    ends = [annotation.end_seconds for span in (true, said) for annotation in span.annotations]
    seconds = lengths[0] if lengths else max(ends, default=0.0)
    return ScoredRecording(seconds, _events(true), _events(said))


def _events(span: AnnotatedSpan) -> list[Event]:
    return [(seizure.onset_seconds, seizure.end_seconds) for seizure in span.seizures]


def _seconds(true: AnnotatedSpan, said: AnnotatedSpan) -> float | None:
    return said.seconds if true.seconds is None else true.seconds


def _without_length(metrics: SeizureMetrics) -> SeizureMetrics:
    """What still holds where it is not known how long was recorded without an event."""
    return replace(
        metrics,
        event=replace(metrics.event, fp_per_24h=None),
        sample=replace(metrics.sample, fp_per_24h=None),
        kappa_5s=None,
    )
