"""The seizure alarm policy that a staff can bear: as many false alarms an hour as they say, no more.

The detector's own policy with another threshold (`pipelines.seizure_threshold.within_budget`). What is false
is what SzCORE's event rule calls so, and an alarm that began over 30 s before the seizure it touches. The
recordings that choose it flatter it: report what it does on others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.clinical.alarm import AlarmPolicy
from models.clinical.annotation import BACKGROUND, SEIZURE, Annotation
from models.clinical.errors import UnreadableSource
from models.clinical.recording import Recording
from pipelines.detect import detector_named, policy_of
from pipelines.ingest.annotations import read_szcore
from pipelines.ingest.recordings.opened import OpenedRecording
from pipelines.ingest.recordings.readers import open_recording
from pipelines.metrics.seizures import Counts, SeizureMetrics
from pipelines.seizure_threshold import figures, judged, per_hour, score_opened, within_budget


@dataclass(frozen=True)
class SeizureChoice:
    """The policy, its figures on the very recordings that chose it, and what of them was not read.

    `model` and `version` are those of the detector whose scores it judges.
    """

    policy: AlarmPolicy
    budget: float  # false alarms an hour
    model: str
    version: str
    recordings: int
    counts: Counts
    metrics: SeizureMetrics
    complaints: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The policy file: what `AlarmPolicy.from_json` reads, how it was chosen, SzCORE's figures of it."""
        chosen = {
            "false_alarms_per_hour": self.budget,
            "model": self.model,
            "version": self.version,
            "recordings": self.recordings,
            "seizures": self.counts.positive,
            "found": self.counts.found,
            "false_alarms": self.counts.false,
            "hours": self.counts.seconds / 3600.0,
            "figures": self.metrics.as_json(),
        }
        return self.policy.as_json() | {"chosen": chosen}

    def sentence(self) -> str:
        """What was chosen, and on how much."""
        counts = self.counts
        found = (
            f"{counts.found} of {counts.positive} seizures found" if counts.positive else "no seizure to find"
        )
        return (
            f"threshold {self.policy.threshold:.4f} for {self.model} {self.version}: {found}, "
            f"{per_hour(counts):.3g} false alarms an hour of at most {self.budget:g}, "
            f"in {counts.seconds / 3600.0:.2f} h of {self.recordings} recordings that chose it"
        )


def choose_seizure_policy(
    paths: Sequence[Path],
    false_alarms_per_hour: float,
    model: str,
    annotations: Path | None = None,
    size: str | None = None,
) -> SeizureChoice:
    """The policy for these recordings, each beside its annotations: its own, or NAME.tsv in `annotations`.

    Raises UnreadableSource where a recording or its table cannot be read, or says neither where a seizure
    nor where background is; `NoPolicy` where no threshold serves within the budget.
    """
    opened, complaints = [], list[str]()
    for path in paths:
        one, faults = _opened(path, annotations)
        opened.append(one)
        complaints += faults
    detector = detector_named(model, size)
    scored = [score_opened(one, detector_named(model, size)) for one in opened]
    policy = within_budget(scored, policy_of(detector), false_alarms_per_hour)
    return SeizureChoice(
        policy,
        false_alarms_per_hour,
        detector.name,
        detector.version,
        len(scored),
        judged(scored, policy),
        figures(scored, policy),
        tuple(complaints),
    )


def _opened(path: Path, annotations: Path | None) -> tuple[OpenedRecording, tuple[str, ...]]:
    """A recording beside what is true of it, which must be said: unknown is not calm."""
    opened, source = open_recording(path), path
    faults: tuple[str, ...] = ()
    if annotations is not None:
        source = annotations / f"{path.stem}.tsv"
        said, faults = _annotated(opened.recording, source)
        opened = replace(opened, annotations=said)
    if not any(one.is_seizure or one.is_background for one in opened.annotations):
        raise UnreadableSource(
            f"{source}: no annotation of {path.name} says where a seizure or background is; expected a "
            f"SzCORE table {path.stem}.tsv with rows {SEIZURE}, or {BACKGROUND} where it is known to be calm"
        )
    return opened, (*opened.complaints, *faults)


def _annotated(recording: Recording, table: Path) -> tuple[tuple[Annotation, ...], tuple[str, ...]]:
    """What a table says of a recording, by its start where the table holds several."""
    read = read_szcore(table)
    spans = read.spans
    if len(spans) > 1:
        spans = tuple(span for span in spans if span.started_at == recording.started_at)
    if len(spans) != 1:
        raise UnreadableSource(
            f"{table}: {len(spans)} of its {len(read.spans)} recordings began at {recording.started_at}; "
            "expected one"
        )
    return spans[0].annotations, (*read.complaints(), *read.beyond())
