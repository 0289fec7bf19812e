"""The figures of a run: every model on all stays and at each site, in subgroups, and beside the floor."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from models.base import EarlyWarningModel
from pipelines.evaluate.budget import within_budget
from pipelines.evaluate.figures import burden_of, rank, warn
from pipelines.evaluate.floor import FLOOR, check_leakage
from pipelines.evaluate.progress import Stages
from pipelines.evaluate.reading import OpenedSource
from pipelines.evaluate.record import (
    BudgetFigures,
    CohortFigures,
    Counts,
    Evaluation,
    Leakage,
    ModelFigures,
    SourceRecord,
)
from pipelines.evaluate.scored import Evidence, read_evidence, require_events
from pipelines.evaluate.settings import EvaluationSettings, digest
from pipelines.evaluate.subgroups import GroupFigures, by_group

ALL = "all stays"


def figured(
    settings: EvaluationSettings,
    models: Sequence[EarlyWarningModel],
    opened: Sequence[OpenedSource],
    out: Path,
    stages: Stages,
) -> Evaluation:
    """The figures of the part files under `out`, over all stays and at each site of `opened`.

    Raises InvalidInput if no stay has an event, or every one.
    """
    evidence = read_evidence(out, [model.name for model in models])
    require_events(evidence, ", ".join(str(one.settings.labels or one.settings.path) for one in opened))
    masks = {ALL: evidence.stays["site"].notna().to_numpy()}
    if len(opened) > 1:
        sites = [source.settings.called for source in opened]
        masks |= {site: (evidence.stays["site"] == site).to_numpy() for site in sites}
    masks = {name: mask for name, mask in masks.items() if mask.any()}
    stages.begin("figures", len(masks) * len(models) + len(models) + 1)
    cohorts = tuple(
        _cohort(settings, models, name, evidence.of(mask), stages) for name, mask in masks.items()
    )
    subgroups = {model.name: _subgroups(settings, model, evidence, stages) for model in models}
    return Evaluation(
        settings=settings,
        sources=tuple(_source(settings, source) for source in opened),
        cohorts=cohorts,
        subgroups=subgroups,
        leakage=_leakage(settings, evidence, out, stages),
    )


def _subgroups(
    settings: EvaluationSettings, model: EarlyWarningModel, evidence: Evidence, stages: Stages
) -> tuple[GroupFigures, ...]:
    """Those of the first policy."""
    policy, window = settings.policies[0].policy(model.threshold), settings.window_hours
    burden = burden_of(evidence, model.name, policy, window)
    found = tuple(
        by_group(
            evidence,
            model.name,
            burden,
            window_hours=window,
            settings=settings.subgroups,
            bootstrap=settings.bootstrap,
        )
    )
    stages.advance()
    return found


def _cohort(
    settings: EvaluationSettings,
    models: Sequence[EarlyWarningModel],
    name: str,
    evidence: Evidence,
    stages: Stages,
) -> CohortFigures:
    found = []
    for model in models:
        found.append(_model(settings, model, name, evidence))
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
        stays_read=opened.stays_read + opened.unlabelled,
        unlabelled=opened.unlabelled,
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
