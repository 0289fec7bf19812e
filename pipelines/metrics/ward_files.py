"""A ward of past stays from a table of predictions, with events from its labels or from a table of onsets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.clinical.errors import InvalidInput, UnreadableSource
from pipelines.metrics.alarm_columns import at_row, clock_of, numbers, timed
from pipelines.metrics.alarm_files import AlarmTables, ScoreTable, read_scores, read_tables
from pipelines.metrics.alarms import MICROSECONDS_AN_HOUR, NEVER_ENDS, Events
from pipelines.metrics.burden import Ward
from pipelines.metrics.horizon import LABELLED_BEFORE

_SUBJECT = ("subject_id", "subject", "patient_id", "patient")
_UNIT = ("care_unit", "unit", "ward", "icu", "site")
ONE_UNIT, UNKNOWN_UNIT = "all beds", "not recorded"


@dataclass(frozen=True)
class WardRead:
    """The ward of a file, how many stays were left out because they do not tell their onset, and the `onsets`
    where a table tells them.

    Where `by_subject` is false some stays do not tell whose they are: each of them counts as a subject.
    """

    ward: Ward
    untold: int
    onsets: AlarmTables | None = None
    by_subject: bool = True


def read_ward(scores: Path, onsets: Path | None = None) -> WardRead:
    """Read a ward. Without `onsets` the column `label` tells them, as in CinC 2019.

    There an event begins six hours after the first positive row and lasts as long as the stay; a stay that is
    positive from its first row does not tell its onset and is left out. Raises UnreadableSource, and
    InvalidInput where no stay has an event, or none tells its onset.
    """
    if onsets is not None:
        tables = read_tables(scores, onsets)
        tables.require_events()
        return WardRead(_ward(tables.scores, tables.events), 0, tables, _tells_subjects(tables.scores))
    held = read_scores(scores)
    positive = _positive(held)
    starts = held.watched.starts
    row = np.where(positive, np.arange(len(positive)), len(positive))
    first = np.minimum.reduceat(row, starts[:-1])
    ill = first < len(positive)
    told = ~ill | (first > starts[:-1])
    if not (ill & told).any():
        why = "positive from their first row, they tell no onset" if ill.any() else "label is 0 in every row"
        raise InvalidInput(f"{scores}: no event of any of {len(ill)} stays: {why}")
    onset = held.watched.time[first[ill]] + LABELLED_BEFORE * MICROSECONDS_AN_HOUR
    events = Events(ill.astype(np.int64), onset, np.full_like(onset, NEVER_ENDS))
    return WardRead(
        _ward(held, events).only(told), int(np.count_nonzero(~told)), by_subject=_tells_subjects(held)
    )


def units(columns: Iterable[Sequence[str] | None], stays: int) -> tuple[str, ...]:
    """The care unit of each of S `stays` by the first of `columns`, (S,) each, that names any."""
    told = next((column for column in columns if column is not None and any(column)), (ONE_UNIT,) * stays)
    return tuple(one or UNKNOWN_UNIT for one in told)


def _on_the_calendar(held: ScoreTable, events: Events) -> tuple[ScoreTable, Events]:
    """The same by dates, where the scores tell them beside hours since admission: the day has hours too."""
    for column in () if held.dated else timed(held.table.column_names, "time"):
        clock = clock_of(held.table.column(column), column, held.path)
        if not (clock.dates and clock.given.all()):
            continue
        watched = held.watched
        later = clock.time[held.order] - watched.time
        admitted = later[watched.starts[:-1]]
        if (later == np.repeat(admitted, watched.rows)).all():
            shift = np.repeat(admitted, events.count)
            end = np.where(events.end == NEVER_ENDS, NEVER_ENDS, events.end + shift)
            moved = replace(watched, time=watched.time + later)
            return replace(held, watched=moved, dated=True), Events(events.count, events.onset + shift, end)
    return held, events


def _ward(held: ScoreTable, events: Events) -> Ward:
    held, events = _on_the_calendar(held, events)
    stays = tuple(str(stay) for stay in held.stay_ids)
    told = held.of_stays(_SUBJECT) or stays
    subject = tuple(one or stay for one, stay in zip(told, stays, strict=True))
    unit = units((held.of_stays((name,)) for name in _UNIT), len(stays))
    return Ward(held.watched, events, subject, unit, held.dated)


def _tells_subjects(held: ScoreTable) -> bool:
    return all(held.of_stays(_SUBJECT) or ("",))


def _positive(held: ScoreTable) -> np.ndarray:
    """Which rows are labelled positive, (N,), in the order of `held.watched`."""
    if "label" not in held.table.column_names:
        raise UnreadableSource(f"{held.path}: no column label, and no table of onsets was given")
    label = numbers(held.table.column("label"), "label", held.path)
    bad = ~np.isin(label, (0, 1))
    if bad.any():
        raise at_row(held.path, int(np.argmax(bad)), "label is neither 0 nor 1")
    return np.asarray(label[held.order] == 1)
