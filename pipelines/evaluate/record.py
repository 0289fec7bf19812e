"""What an evaluation found, as `evaluation.json` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.evaluate.figures import RankFigures, WarningFigures
from pipelines.evaluate.settings import EvaluationSettings
from pipelines.evaluate.subgroups import GroupFigures

FORMAT = 3
RECORD = "evaluation.json"


@dataclass(frozen=True)
class Counts:
    """What was evaluated; equal `subjects_hash` means the same stays of the same subjects."""

    stays: int
    subjects: int
    septic_stays: int
    hours: int
    positive_hours: int
    prevalence: float
    subjects_hash: str


@dataclass(frozen=True)
class SourceRecord:
    """One source: how many stays were read, left out and evaluated; `external` is None where nobody says
    where the models learnt. Stays that no label tells of, or that hold no observation, are `unlabelled`.
    """

    name: str
    file: str
    site: str
    part: str
    external: bool | None
    stays_read: int
    unlabelled: int
    outside_part: int
    evaluated: int
    unreadable: tuple[str, ...]
    ingest: Mapping[str, Any]


@dataclass(frozen=True)
class BudgetFigures:
    """A model at the alert budget: what it costs and what it gives; None where it cannot keep to it."""

    alarms_per_bed_day: float
    warnings: WarningFigures


@dataclass(frozen=True)
class ModelFigures:
    """One model on one cohort; `configuration` is a hash of all that decides its figures but the records."""

    model: str
    version: str
    threshold: float
    configuration: str
    ranking: RankFigures
    warnings: tuple[WarningFigures, ...]
    at_budget: BudgetFigures | None


@dataclass(frozen=True)
class CohortFigures:
    """Every model on the stays of one site, or of all."""

    cohort: str
    external: bool | None
    counts: Counts
    models: tuple[ModelFigures, ...]


@dataclass(frozen=True)
class Leakage:
    """The floor's figures beside the first model's, and the AUROC of each learner of shuffled labels."""

    floor: RankFigures
    shuffled_auroc: tuple[float, ...]


@dataclass(frozen=True)
class Evaluation:
    """Several models on the same stays, whole and by site; the first cohort holds all stays."""

    settings: EvaluationSettings
    sources: tuple[SourceRecord, ...]
    cohorts: tuple[CohortFigures, ...]
    subgroups: Mapping[str, tuple[GroupFigures, ...]]
    leakage: Leakage

    @property
    def unreadable(self) -> tuple[str, ...]:
        """What of all sources could not be read."""
        return tuple(sentence for source in self.sources for sentence in source.unreadable)

    def sentence(self) -> str:
        """The first model's figures for people, and what was read."""
        whole = self.cohorts[0]
        first, counts = whole.models[0], whole.counts
        outside = first.warnings[0].figures.outside
        ingested = [source.ingest for source in self.sources]
        read, kept = (sum(one[name] for one in ingested) for name in ("cells_read", "cells_kept"))
        return (
            f"{counts.stays} stays, {counts.septic_stays} with an event, {counts.hours} hours; "
            f"{first.model} {first.version}: AUROC {_rounded(first.ranking.metrics.auroc)}, AUPRC "
            f"{_rounded(first.ranking.metrics.auprc)}, {outside.events_detected} of {outside.events} events "
            f"foretold by {outside.alarms} alarms; {read} values read, {read - kept} quarantined"
        )

    def as_json(self) -> dict[str, Any]:
        """The record; it holds nothing of when or where it was made, so that equal runs write equal files."""
        held = asdict(self) | {"settings": self.settings.as_json()}
        return {"format": FORMAT, "configuration": self.settings.hash, **held}


def _rounded(figure: float | None) -> str:
    return "undefined" if figure is None else f"{figure:.3f}"
