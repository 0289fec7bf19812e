"""Retrospective evaluation: models over labelled stays they have not seen, as figures with their intervals.

    sources -> chunks of stays -> scores (any engine) -> part files -> figures -> evaluation.json

Scores are made by `EarlyWarningModel.score` as the live service makes them, from what was known by
each hour; alarms are decided by `models.clinical.alarm.AlarmPolicy`. A run that was stopped keeps its whole
parts and goes on, to the same files. Figures over hours are the challenge's (`pipelines.metrics.cinc2019`); a
row without a score counts there as `StayPrediction.probability` says.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from rich.console import Console

from models import registry
from models.base import EarlyWarningModel
from models.clinical.errors import InvalidInput, UnreadableSource
from pipelines.engines import mapped
from pipelines.evaluate.budget import within_budget
from pipelines.evaluate.figures import burden_of, rank, warn
from pipelines.evaluate.floor import FLOOR, check_leakage
from pipelines.evaluate.parts import Chunk, PartFolder, Scored, key_of, score_part
from pipelines.evaluate.progress import Stages
from pipelines.evaluate.reading import OpenedSource, chunks
from pipelines.evaluate.record import (
    RECORD,
    BudgetFigures,
    CohortFigures,
    Counts,
    Evaluation,
    Leakage,
    ModelFigures,
    SourceRecord,
)
from pipelines.evaluate.scored import Evidence, read_evidence, require_events
from pipelines.evaluate.seen import Seen
from pipelines.evaluate.settings import EvaluationSettings, digest
from pipelines.evaluate.subgroups import by_group
from pipelines.evaluate.worst import WorstStays, write_trajectories
from pipelines.prediction_files import replacing

SCORING = 1  # of the part files: a new number has everything scored anew
ALL = "all stays"


@dataclass(frozen=True)
class _Loaded:
    """A model, by the name that loads it."""

    load: str
    model: EarlyWarningModel

    @property
    def scored(self) -> Scored:
        return Scored(self.model.name, self.load, self.model.threshold)


def evaluate(settings: EvaluationSettings, out: Path, *, console: Console | None = None) -> Evaluation:
    """Evaluate by `settings`, reading each stay once; `console` shows how far it has come.

    Writes the part files of `pipelines.evaluate.parts`, `trajectories.json` and `evaluation.json` to `out`.
    Raises UnknownModel; UnreadableSource if a stay has no label or no stay is left; InvalidInput if a model
    has seen a subject, or no stay has an event.
    """
    loaded = _loaded(settings)
    opened = [OpenedSource.of(source) for source in settings.sources]
    out.mkdir(parents=True, exist_ok=True)
    first = loaded[0].model
    worst = WorstStays(
        first.name,
        settings.policies[0].policy(first.threshold),
        settings.window_hours,
        settings.misses,
        settings.false_alarms,
    )
    with Stages(console) as stages:
        _score(settings, loaded, opened, PartFolder(out), worst, stages)
        write_trajectories(out, first, worst.worst)
        evaluation = _evaluation(settings, loaded, opened, out, stages)
    with replacing(out / RECORD) as unfinished:
        unfinished.write_text(json.dumps(evaluation.as_json(), indent=1) + "\n", encoding="utf-8")
    return evaluation


def _loaded(settings: EvaluationSettings) -> tuple[_Loaded, ...]:
    loaded = tuple(_Loaded(name, registry.load(name)) for name in settings.models)
    names = [one.model.name for one in loaded]
    if len(set(names)) != len(names):
        raise InvalidInput("an evaluation needs every model once", value=names)
    for one in loaded:
        for policy in settings.policies:
            policy.policy(one.model.threshold)
    return loaded


def _score(
    settings: EvaluationSettings,
    loaded: tuple[_Loaded, ...],
    opened: Sequence[OpenedSource],
    folder: PartFolder,
    worst: WorstStays,
    stages: Stages,
) -> None:
    """Have every part on disk, scoring those that are not there yet."""
    versions = {"scoring": SCORING, **{one.model.name: one.model.version for one in loaded}}
    configuration, waiting, parts = digest(versions), deque[tuple[Chunk, str]](), 0

    def missing() -> Iterator[Chunk]:
        nonlocal parts
        seen = [Seen.by(one.model) for one in loaded]
        for chunk in chunks(opened, seen, stages.advance):
            parts, key = chunk.number + 1, key_of(configuration, chunk)
            if folder.holds(chunk.number, key):
                worst.add(chunk, folder.read(chunk.number))
            else:
                waiting.append((chunk, key))
                yield chunk

    counts = [source.source.stay_count for source in opened]
    stages.begin("scoring", None if None in counts else sum(one or 0 for one in counts))
    work = partial(score_part, tuple(one.scored for one in loaded))
    for part in mapped(work, missing(), engine=settings.engine, workers=settings.workers):
        chunk, key = waiting.popleft()
        folder.write(chunk.number, key, part)
        worst.add(chunk, part)
    folder.keep(parts)
    if not parts:
        names = ", ".join(f"{one.source.name} ({one.settings.part})" for one in opened)
        raise UnreadableSource(f"{names}: no readable stay to evaluate")


def _evaluation(
    settings: EvaluationSettings,
    loaded: tuple[_Loaded, ...],
    opened: Sequence[OpenedSource],
    out: Path,
    stages: Stages,
) -> Evaluation:
    evidence = read_evidence(out, [one.model.name for one in loaded])
    require_events(evidence, str(out))
    masks = {ALL: evidence.stays["site"].notna().to_numpy()}
    if len(opened) > 1:
        sites = [source.settings.called for source in opened]
        masks |= {site: (evidence.stays["site"] == site).to_numpy() for site in sites}
    masks = {name: mask for name, mask in masks.items() if mask.any()}
    stages.begin("figures", len(masks) * len(loaded) + len(loaded) + 1)
    cohorts = tuple(
        _cohort(settings, loaded, name, evidence.of(mask), stages) for name, mask in masks.items()
    )
    subgroups = {}
    for one in loaded:
        policy = settings.policies[0].policy(one.model.threshold)
        found = burden_of(evidence, one.model.name, policy, settings.window_hours)
        subgroups[one.model.name] = tuple(
            by_group(
                evidence,
                one.model.name,
                found,
                window_hours=settings.window_hours,
                settings=settings.subgroups,
                bootstrap=settings.bootstrap,
            )
        )
        stages.advance()
    return Evaluation(
        settings=settings,
        sources=tuple(_source(settings, source) for source in opened),
        cohorts=cohorts,
        subgroups=subgroups,
        leakage=_leakage(settings, evidence, out, stages),
    )


def _cohort(
    settings: EvaluationSettings,
    loaded: tuple[_Loaded, ...],
    name: str,
    evidence: Evidence,
    stages: Stages,
) -> CohortFigures:
    found = []
    for one in loaded:
        found.append(_model(settings, one.model, name, evidence))
        stages.advance()
    external = None if name == ALL else _external(settings, name)
    return CohortFigures(name, external, _counts(evidence), tuple(found))


def _model(
    settings: EvaluationSettings, model: EarlyWarningModel, cohort: str, evidence: Evidence
) -> ModelFigures:
    bootstrap, window = settings.bootstrap, settings.window_hours
    policies = [(one.name, one.policy(model.threshold)) for one in settings.policies]
    within = within_budget(evidence, model.name, policies[0][1], settings.alarms_per_bed_day)
    at_budget = None
    if within is not None:
        named = f"{settings.alarms_per_bed_day:g} alarms a bed and day", within.policy
        at_budget = BudgetFigures(
            within.alarms_per_bed_day, warn(evidence, model.name, named, window, bootstrap)
        )
    return ModelFigures(
        model=model.name,
        version=model.version,
        threshold=model.threshold,
        configuration=digest(
            {"settings": settings.as_json(), "model": model.name, "version": model.version, "cohort": cohort}
        ),
        ranking=rank(evidence, model.name, model.threshold, bootstrap, settings.horizon_hours),
        warnings=tuple(warn(evidence, model.name, named, window, bootstrap) for named in policies),
        at_budget=at_budget,
    )


def _leakage(settings: EvaluationSettings, evidence: Evidence, out: Path, stages: Stages) -> Leakage:
    checks = check_leakage(out, evidence, settings.shuffles)
    with_floor = Evidence(evidence.stays, evidence.rows, evidence.hour, evidence.label, {FLOOR: checks.floor})
    figures = rank(with_floor, FLOOR, 0.5, settings.bootstrap, settings.horizon_hours)
    stages.advance()
    return Leakage(figures, checks.shuffled)


def _source(settings: EvaluationSettings, opened: OpenedSource) -> SourceRecord:
    return SourceRecord(
        name=opened.settings.name,
        file=Path(opened.source.name).name,
        site=opened.settings.called,
        part=opened.settings.part,
        external=_external(settings, opened.settings.called),
        stays_read=opened.stays_read,
        outside_part=opened.outside_part,
        evaluated=opened.ingest.stays,
        unreadable=opened.unreadable,
        ingest=opened.ingest.as_json(),
    )


def _external(settings: EvaluationSettings, site: str) -> bool | None:
    return site not in settings.trained_at if settings.trained_at else None


def _counts(evidence: Evidence) -> Counts:
    subjects, label = evidence.subjects, evidence.label
    pairs = sorted(f"{one}\t{stay}" for one, stay in zip(subjects, evidence.stays["stay_id"], strict=True))
    return Counts(
        stays=len(evidence.rows),
        subjects=len(set(subjects)),
        septic_stays=int(evidence.septic.sum()),
        hours=len(label),
        positive_hours=int(label.sum()),
        prevalence=float(label.mean()),
        subjects_hash=sha256("\n".join(pairs).encode()).hexdigest()[:12],
    )
