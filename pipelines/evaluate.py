"""Retrospective evaluation: models over labelled stays of held-out subjects, as figures with their intervals.

The figures are the challenge's (`pipelines.metrics.cinc2019`) over every row, with the model's own threshold.
A row without a score counts as `StayPrediction.probability` says, so `evaluate` and the metrics of the files
that `score_challenge` writes agree; `hours_with_score_share` says how many rows had one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models import registry
from models.base import EarlyWarningModel
from models.clinical.errors import InvalidInput, UnreadableSource
from models.clinical.stay import Stay
from pipelines.ingest.source import IngestedStay, IngestSummary, Source
from pipelines.metrics.bootstrap import Bootstrap, Intervals, intervals
from pipelines.metrics.cinc2019 import ChallengeMetrics, Cohort, summarise
from pipelines.prediction_files import PredictionTable, replacing
from pipelines.predictions import Progress, StayPrediction, predict_all
from pipelines.split import held_out

FORMAT = 1
TRAINED_ON = "cinc2019"  # the source that shipped models and `prodrome train` learn from


@dataclass(frozen=True)
class Cut:
    """Which stays are evaluated: `holds(stay)`; `description` says it in words for the record."""

    description: str = "every subject"
    holds: Callable[[Stay], bool] = lambda stay: True  # noqa: ARG005


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
class ModelEvaluation:
    """One model's figures; `configuration` is a hash of everything that decides them but the records."""

    model: str
    version: str
    threshold: float
    configuration: str
    hours_with_score_share: float
    metrics: ChallengeMetrics
    intervals: Intervals


@dataclass(frozen=True)
class Evaluation:
    """Several models on the same stays; `unreadable` holds one message a stay that could not be read."""

    source: str
    cut: str
    counts: Counts
    bootstrap: Bootstrap
    models: tuple[ModelEvaluation, ...]
    ingest: IngestSummary
    unreadable: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The record that `evaluation.json` holds."""
        return {"format": FORMAT, **asdict(self), "ingest": self.ingest.as_json()}


def unseen(stay: Stay) -> bool:
    """Whether training cannot have seen the subject: it saw stays of CinC 2019, but no held-out one."""
    return stay.source != TRAINED_ON or held_out(stay.subject_id)


def evaluate(
    source: Source,
    models: Sequence[str | Path],
    out: Path,
    *,
    cut: Cut | None = None,
    bootstrap: Bootstrap | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate `models` on the labelled stays of `source` that `cut` holds, reading each stay once.

    Writes `<model>.parquet` (every hour's prediction) for each model and `evaluation.json` to `out`. Raises
    UnknownModel, and UnreadableSource if a stay has no label or no stay is left.
    """
    cut, bootstrap = cut or Cut(), bootstrap or Bootstrap()
    loaded = tuple(registry.load(model) for model in models)
    if len({model.name for model in loaded}) != len(loaded) or not loaded:
        raise InvalidInput("needs at least one model, each once", value=[model.name for model in loaded])
    out.mkdir(parents=True, exist_ok=True)
    rows, ingest = tuple(_Rows() for _ in loaded), IngestSummary()
    with ExitStack() as stack:
        tables = [
            stack.enter_context(PredictionTable.writing(out / f"{model.name}.parquet", model.threshold))
            for model in loaded
        ]
        stays = ingest.counting(_held(source, cut))
        for predictions in predict_all(stays, models, workers=workers, progress=progress):
            for prediction, table, row in zip(predictions, tables, rows, strict=True):
                table.add(prediction)
                row.add(prediction)
    evaluation = _evaluation(source, cut, bootstrap, loaded, rows, ingest=ingest)
    with replacing(out / "evaluation.json") as unfinished:
        unfinished.write_text(json.dumps(evaluation.as_json(), indent=2) + "\n", encoding="utf-8")
    return evaluation


def _held(source: Source, cut: Cut) -> Iterator[IngestedStay]:
    for ingested in source.stays():
        if not cut.holds(ingested.stay):
            continue
        if ingested.labelled is None:
            raise UnreadableSource(
                f"{source.name}: stay {ingested.stay.stay_id} has no hourly label to evaluate"
            )
        yield ingested


@dataclass
class _Rows:
    """The rows of one model as they come, and the cohort they make."""

    stay_ids: list[str] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    labels: list[npt.NDArray[np.int8]] = field(default_factory=list)
    probabilities: list[npt.NDArray[np.float64]] = field(default_factory=list)
    with_score: int = 0

    def add(self, prediction: StayPrediction) -> None:
        assert prediction.label is not None  # _held lets no other stay pass
        self.stay_ids.append(prediction.stay_id)
        self.subjects.append(prediction.subject_id)
        self.labels.append(prediction.label)
        self.probabilities.append(prediction.probability)
        self.with_score += int(np.isfinite(prediction.value).sum())

    def cohort(self, threshold: float) -> Cohort:
        probability = np.concatenate(self.probabilities)
        return Cohort(
            rows=np.array([len(label) for label in self.labels], dtype=np.int64),
            label=np.concatenate(self.labels),
            probability=probability,
            prediction=(probability >= threshold).astype(np.int8),
        )


def _evaluation(
    source: Source,
    cut: Cut,
    bootstrap: Bootstrap,
    models: tuple[EarlyWarningModel, ...],
    rows: tuple[_Rows, ...],
    *,
    ingest: IngestSummary,
) -> Evaluation:
    if not rows[0].labels:
        raise UnreadableSource(f"{source.name}: no readable stay of {cut.description}")
    return Evaluation(
        source=Path(source.name).name,
        cut=cut.description,
        counts=_counts(rows[0]),
        bootstrap=bootstrap,
        models=tuple(
            _model_evaluation(model, row, cut, bootstrap) for model, row in zip(models, rows, strict=True)
        ),
        ingest=ingest,
        unreadable=tuple(str(failure) for failure in source.failures),
    )


def _counts(rows: _Rows) -> Counts:
    label = np.concatenate(rows.labels)
    pairs = "\n".join(
        sorted(f"{subject}\t{stay}" for subject, stay in zip(rows.subjects, rows.stay_ids, strict=True))
    )
    return Counts(
        stays=len(rows.labels),
        subjects=len(set(rows.subjects)),
        septic_stays=sum(bool(one.any()) for one in rows.labels),
        hours=len(label),
        positive_hours=int(label.sum()),
        prevalence=float(label.mean()),
        subjects_hash=sha256(pairs.encode()).hexdigest()[:12],
    )


def _model_evaluation(
    model: EarlyWarningModel, rows: _Rows, cut: Cut, bootstrap: Bootstrap
) -> ModelEvaluation:
    cohort = rows.cohort(model.threshold)
    decides = {
        "format": FORMAT,
        "model": model.name,
        "version": model.version,
        "threshold": model.threshold,
        "cut": cut.description,
        "bootstrap": asdict(bootstrap),
    }
    return ModelEvaluation(
        model=model.name,
        version=model.version,
        threshold=model.threshold,
        configuration=sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12],
        hours_with_score_share=rows.with_score / len(cohort.label),
        metrics=summarise(cohort),
        intervals=intervals(cohort, rows.subjects, bootstrap),
    )
