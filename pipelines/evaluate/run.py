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
from pathlib import Path

from rich.console import Console

from models import registry
from models.base import EarlyWarningModel
from models.clinical.errors import InvalidInput, UnreadableSource
from pipelines.engines import mapped
from pipelines.evaluate.cohorts import figured
from pipelines.evaluate.parts import Chunk, PartFolder, Scored, key_of, score_part
from pipelines.evaluate.progress import Stages
from pipelines.evaluate.reading import OpenedSource, chunks, require_onsets
from pipelines.evaluate.record import RECORD, Evaluation
from pipelines.evaluate.seen import Seen, require_trained_at
from pipelines.evaluate.settings import EvaluationSettings, digest
from pipelines.evaluate.subgroups import read_facts
from pipelines.evaluate.worst import WorstStays, write_trajectories
from pipelines.prediction_files import replacing

SCORING = 2  # of the part files: a new number has everything scored anew


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
    Raises UnknownModel; UnreadableSource if a stay has no label, an onset no stay or no stay is left;
    InvalidInput if a model has seen a subject, `trained_at` contradicts one, or no stay has an event.
    """
    loaded = _loaded(settings)
    require_trained_at(settings, [Seen.by(one.model) for one in loaded])
    opened = [OpenedSource.of(source) for source in settings.sources]
    if settings.subgroups.table is not None:
        read_facts(settings.subgroups.table)  # what is wrong with it is said before anything is scored
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
        _score(settings, loaded, opened, folder=PartFolder(out), worst=worst, stages=stages)
        write_trajectories(out, first, worst.worst)
        evaluation = figured(settings, [one.model for one in loaded], opened, out, stages)
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
    *,
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
    require_onsets(opened)
    if not parts:
        raise UnreadableSource(f"{', '.join(map(_asked, opened))}: no readable stay to evaluate")


def _asked(opened: OpenedSource) -> str:
    labels = opened.settings.labels
    return (
        f"{opened.source.name} ({opened.settings.part}{'' if labels is None else f', labelled by {labels}'})"
    )
