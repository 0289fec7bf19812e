"""The seizure alarm policy that a staff can bear: as many false alarms an hour as they say, no more.

The detector's own policy with another threshold (`pipelines.detect.within_budget`). The recordings that
choose it flatter it: report what it does on others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.clinical.alarm import AlarmPolicy
from models.clinical.annotation import Annotation
from models.clinical.errors import UnreadableSource
from models.clinical.recording import Recording
from pipelines.detect import detector_named, policy_of, within_budget
from pipelines.ingest.annotations import read_annotations
from pipelines.ingest.recordings.opened import OpenedRecording
from pipelines.ingest.recordings.readers import open_recording
from pipelines.metrics.seizures import SeizureMetrics
from pipelines.seizure_threshold import figures, score_opened


@dataclass(frozen=True)
class SeizureChoice:
    """The policy, its figures on the very recordings that chose it, and what of them was not read."""

    policy: AlarmPolicy
    budget: float  # false alarms an hour
    model: str
    recordings: int
    seizures: int
    hours: float
    metrics: SeizureMetrics
    complaints: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The policy file: what `AlarmPolicy.from_json` reads, and how it was chosen."""
        names = ("model", "recordings", "seizures", "hours")
        chosen = {"false_alarms_per_hour": self.budget} | {name: getattr(self, name) for name in names}
        return self.policy.as_json() | {"chosen": chosen | {"figures": self.metrics.as_json()}}

    def sentence(self) -> str:
        """What was chosen, and on how much."""
        event = self.metrics.event
        found = "none" if event.sensitivity is None else f"{event.sensitivity:.0%}"
        false = "unknown" if event.fp_per_24h is None else f"{event.fp_per_24h / 24:.3g}"
        return (
            f"threshold {self.policy.threshold:.4f} for {self.model}: {found} of {self.seizures} seizures "
            f"found, {false} false alarms an hour of at most {self.budget:g}, in {self.hours:.2f} h of "
            f"{self.recordings} recordings that chose it"
        )


def choose_seizure_policy(
    paths: Sequence[Path], false_alarms_per_hour: float, model: str, annotations: Path | None = None
) -> SeizureChoice:
    """The policy for these recordings, each beside its annotations: its own, or NAME.tsv in `annotations`.

    Raises UnreadableSource where a recording or its table cannot be read, InvalidInput where no threshold
    keeps the budget.
    """
    scored, complaints = [], list[str]()
    for path in paths:
        opened = open_recording(path)
        complaints += opened.complaints
        if annotations is not None:
            said, faults = _annotated(opened.recording, annotations / f"{path.stem}.tsv")
            opened = OpenedRecording(opened.recording, said)
            complaints += faults
        scored.append(score_opened(opened, detector_named(model)))
    pairs = [(one.series, one.truth) for one in scored]
    policy = within_budget(pairs, policy_of(detector_named(model)), false_alarms_per_hour)
    return SeizureChoice(
        policy,
        false_alarms_per_hour,
        model,
        len(scored),
        sum(len(one.truth.seizures) for one in scored),
        sum(one.truth.seconds or 0.0 for one in scored) / 3600.0,
        figures(scored, policy),
        tuple(complaints),
    )


def _annotated(recording: Recording, table: Path) -> tuple[tuple[Annotation, ...], tuple[str, ...]]:
    """What a table says of a recording, by its start where the table holds several."""
    read = read_annotations(table)
    spans = read.spans
    if len(spans) > 1:
        spans = tuple(span for span in spans if span.started_at == recording.started_at)
    if len(spans) != 1:
        raise UnreadableSource(
            f"{table}: {len(spans)} of its {len(read.spans)} recordings began at {recording.started_at}; "
            "expected one"
        )
    return spans[0].annotations, read.complaints()
