"""A ward of past stays from a table of predictions, with events from its labels or from a table of onsets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.clinical.errors import UnreadableSource
from pipelines.metrics.alarm_columns import at_row, numbers
from pipelines.metrics.alarm_files import AlarmTables, ScoreTable, read_scores, read_tables
from pipelines.metrics.alarms import MICROSECONDS_AN_HOUR, NEVER_ENDS, Events
from pipelines.metrics.burden import Ward
from pipelines.metrics.horizon import LABELLED_BEFORE

_SUBJECT = ("subject_id", "subject", "patient_id", "patient")
_UNIT = ("care_unit", "unit", "ward", "icu", "site")
ONE_UNIT = "all beds"


@dataclass(frozen=True)
class WardRead:
    """The ward of a file, how many stays were left out because they do not tell their onset, and the `onsets`
    where a table tells them.
    """

    ward: Ward
    untold: int
    onsets: AlarmTables | None = None


def read_ward(scores: Path, onsets: Path | None = None) -> WardRead:
    """Read a ward. Without `onsets` the column `label` tells them, as in CinC 2019.

    There an event begins six hours after the first positive row and lasts as long as the stay; a stay that is
    positive from its first row does not tell its onset and is left out. Raises UnreadableSource.
    """
    if onsets is not None:
        tables = read_tables(scores, onsets)
        return WardRead(_ward(tables.scores, tables.events), 0, tables)
    held = read_scores(scores)
    positive = _positive(held)
    starts = held.watched.starts
    row = np.where(positive, np.arange(len(positive)), len(positive))
    first = np.minimum.reduceat(row, starts[:-1])
    ill = first < len(positive)
    told = ~ill | (first > starts[:-1])
    onset = held.watched.time[first[ill]] + LABELLED_BEFORE * MICROSECONDS_AN_HOUR
    events = Events(ill.astype(np.int64), onset, np.full_like(onset, NEVER_ENDS))
    return WardRead(_ward(held, events).only(told), int(np.count_nonzero(~told)))


def _ward(held: ScoreTable, events: Events) -> Ward:
    subject = held.of_stays(_SUBJECT) or tuple(held.stay_ids)
    unit = held.of_stays(_UNIT) or (ONE_UNIT,) * len(held.stay_ids)
    return Ward(held.watched, events, subject, unit, held.dated)


def _positive(held: ScoreTable) -> np.ndarray:
    """Which rows are labelled positive, (N,), in the order of `held.watched`."""
    if "label" not in held.table.column_names:
        raise UnreadableSource(f"{held.path}: no column label, and no table of onsets was given")
    label = numbers(held.table.column("label"), "label", held.path)
    bad = ~np.isin(label, (0, 1))
    if bad.any():
        raise at_row(held.path, int(np.argmax(bad)), "label is neither 0 nor 1")
    return np.asarray(label[held.order] == 1)
