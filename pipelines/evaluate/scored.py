"""The part files of a run as arrays, checked: the same stays and hours for every model, scores in [0, 1].

S  stays     N  hours of all stays, end to end
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from models.clinical.errors import InvalidInput, UnreadableSource
from pipelines.evaluate.parts import PartFolder
from pipelines.metrics.alarms import Events, Watched
from pipelines.metrics.burden import Ward
from pipelines.metrics.cinc2019 import Cohort
from pipelines.metrics.horizon import Onsets

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

_HOURLY = ("stay_id", "hour", "label", "value", "probability")


@dataclass(frozen=True)
class Scores:
    """One model's: `value` (N,) NaN where there is none, and `probability` (N,), a number in every hour."""

    value: Floats
    probability: Floats


@dataclass(frozen=True)
class Evidence:
    """Everything that figures are made of: `stays` has a row a stay (S), in the order of its hours.

    `rows` (S,) hours of each stay, `hour` (N,) after admission, `label` (N,).
    """

    stays: pd.DataFrame
    rows: Integers
    hour: Integers
    label: npt.NDArray[np.int8]
    scores: Mapping[str, Scores]

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Whose each stay is (S,): subjects of two sites are two, whatever they are called."""
        columns = self.stays["site"].tolist(), self.stays["subject_id"].tolist()
        return tuple(f"{site}\t{subject}" for site, subject in zip(*columns, strict=True))

    @property
    def septic(self) -> Booleans:
        """(S,) stays with an event."""
        return self.stays["onset_hour"].notna().to_numpy()

    @property
    def events(self) -> Events:
        """At most one a stay, lasting to its end: alarms after an onset foretell nothing."""
        return Events.one_each(self.stays["onset_hour"].to_numpy(dtype=np.float64), lasting=True)

    @property
    def onsets(self) -> Onsets:
        """The hour that each event begins in: a score h hours before is the newest by the onset - h."""
        told = self.stays["onset_told"].to_numpy(dtype=np.bool_)
        hour = np.floor(self.stays["onset_hour"].fillna(0.0).to_numpy(dtype=np.float64)).astype(np.int64)
        return Onsets(hour, self.septic & told, self.septic & ~told)

    def cohort(self, model: str, threshold: float) -> Cohort:
        """One model's hours as the challenge counts them."""
        probability = self.scores[model].probability
        return Cohort(self.rows, self.label, probability, (probability >= threshold).astype(np.int8))

    def ward(self, model: str) -> Ward:
        """One model's scores as a ward of these stays: an hour without a score raises no alarm."""
        watched = Watched.hourly(self.rows, self.hour, self.scores[model].value)
        units = self.stays["care_unit"].fillna("").tolist()
        return Ward(watched, self.events, self.subjects, tuple(units), dated=False)

    def of(self, kept: Booleans) -> Evidence:
        """The stays where `kept` (S,), and their hours."""
        inside = np.repeat(kept, self.rows)
        return replace(
            self,
            stays=self.stays[kept].reset_index(drop=True),
            rows=self.rows[kept],
            hour=self.hour[inside],
            label=self.label[inside],
            scores={
                name: Scores(one.value[inside], one.probability[inside]) for name, one in self.scores.items()
            },
        )


def read_evidence(folder: Path, models: Sequence[str]) -> Evidence:
    """The stays of a run with the scores of `models`.

    Raises UnreadableSource, naming file and row, where a model scored other hours than another, a score lies
    outside [0, 1] or is missing without a status, or a stay has no facts; and where no stay is left.
    """
    parts = PartFolder(folder)
    tables = [table.to_pandas() for _, table in parts.tables("stays")]
    stays = pd.concat(tables, ignore_index=True)
    columns = ["model", "status", *_HOURLY]
    read = [_hours(path, table, models) for path, table in parts.tables("scores", columns)]
    if not len(stays):
        raise UnreadableSource(f"{folder}: no stay was evaluated")
    first = {name: np.concatenate([one[models[0]][name] for one in read]) for name in _HOURLY}
    rows = stays["hours"].to_numpy(dtype=np.int64)
    expected = np.repeat(stays["stay_id"].to_numpy(dtype=object), rows)
    if len(expected) != len(first["stay_id"]) or not (expected == first["stay_id"]).all():
        raise UnreadableSource(
            f"{folder}: scores of {len(first['stay_id'])} hours, but stays of {len(expected)}; expected the "
            "same stays in both"
        )
    scores = {
        model: Scores(
            *(np.concatenate([one[model][name] for one in read]) for name in ("value", "probability"))
        )
        for model in models
    }
    return Evidence(stays, rows, first["hour"], first["label"].astype(np.int8), scores)


def require_events(evidence: Evidence, where: str) -> None:
    """Raises InvalidInput unless some stay has an event and some has none: else no figure ranks anything."""
    if not evidence.label.any():
        raise InvalidInput(f"{where}: no positive subject among {len(evidence.stays)} stays", bound=">= 1")
    if evidence.septic.all():
        raise InvalidInput(f"{where}: no stay without an event among {len(evidence.stays)}", bound=">= 1")


def _hours(path: Path, table: pa.Table, models: Sequence[str]) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """The columns of each model in one part, which must agree on stays, hours and labels."""
    found: dict[str, dict[str, npt.NDArray[Any]]] = {}
    row_of = np.arange(1, len(table) + 1)
    model_of = table.column("model").to_numpy(zero_copy_only=False)
    for model in models:
        chosen = model_of == model
        if not chosen.any():
            raise UnreadableSource(f"{path}: no row of model {model}; there are {sorted(set(model_of))}")
        part = table.filter(pa.array(chosen))
        columns = {name: part.column(name).to_numpy(zero_copy_only=False) for name in _HOURLY}
        _check_scores(path, part, columns, row_of[chosen])
        found[model] = columns
        _check_same(path, found[models[0]], columns, row_of[chosen], model)
    return found


def _check_scores(path: Path, part: pa.Table, columns: dict[str, Any], row: Integers) -> None:
    value, status = columns["value"].astype(np.float64), part.column("status")
    present = pc.equal(status, "present").to_numpy(zero_copy_only=False)
    good = np.where(present, (value >= 0) & (value <= 1), np.isnan(value))
    good &= (columns["probability"] >= 0) & (columns["probability"] <= 1)
    if not good.all():
        bad = int(np.argmin(good))
        raise UnreadableSource(
            f"{path} row {row[bad]}: score {value[bad]} of stay {columns['stay_id'][bad]} with status "
            f"{status[bad].as_py()} must be in [0, 1], and none where it is not present"
        )
    labelled = np.isin(columns["label"].astype(np.float64), (0, 1))
    if not labelled.all():
        bad = int(np.argmin(labelled))
        raise UnreadableSource(f"{path} row {row[bad]}: label {columns['label'][bad]} must be 0 or 1")


def _check_same(path: Path, first: dict[str, Any], one: dict[str, Any], row: Integers, model: str) -> None:
    if len(first["hour"]) != len(one["hour"]):
        raise UnreadableSource(
            f"{path}: {model} has {len(one['hour'])} hours, the first {len(first['hour'])}; expected the "
            "same stays and hours of every model"
        )
    for name in ("stay_id", "hour", "label"):
        same = first[name] == one[name]
        if not np.all(same):
            bad = int(np.argmin(same))
            raise UnreadableSource(
                f"{path} row {row[bad]}: {model} has {name} {one[name][bad]} where the first model has "
                f"{first[name][bad]}; expected the same stays, hours and labels of every model"
            )
