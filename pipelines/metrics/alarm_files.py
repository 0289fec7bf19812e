"""Tables of scores and of onsets, as other programs write them, read for `pipelines.metrics.alarms`.

SCORES has a row a score: stay, time, score. ONSETS has a row an event: stay, onset, and where known its end
and when clinicians recognised it; a stay without a row, or with an empty onset, has no event. Both may be
CSV, TSV or Parquet, in any order of rows. A score is missing only where a `status` says so, as in the tables
of `pipelines.prediction_files`; an empty or NaN score anywhere else is a fault.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.csv  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]

from models.clinical.errors import InvalidInput, UnreadableSource
from models.clinical.score import ScoreStatus
from pipelines.metrics.alarm_columns import (
    SCORE,
    STAY,
    Clock,
    at_row,
    clock_of,
    is_text,
    named,
    numbers,
    timed,
)
from pipelines.metrics.alarms import NEVER_ENDS, Booleans, Events, Floats, Integers, Watched

_LONGEST_HEADER = 65_536  # characters
_TIMES = ("time", "hour", "minutes")
_MODEL = "model"  # the column of an evaluation's part files that says whose a score is
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class ScoreTable:
    """A table of scores, stay by stay: `stay_ids` (S,) in the order of the file, `dated` if times are dates.

    `order` (N,) holds the row of `table` behind each row of `watched`.
    """

    path: Path
    table: pa.Table
    stay_ids: npt.NDArray[np.object_]
    watched: Watched
    order: Integers
    dated: bool

    def of_stays(self, names: Sequence[str]) -> tuple[str, ...] | None:
        """What the column of the first of `names` says in each stay's first row, (S,); None without one."""
        column = named(self.table.column_names, names)
        if column is None:
            return None
        cells = self.table.column(column).take(pa.array(self.order[self.watched.starts[:-1]]))
        return tuple("" if cell is None else str(cell) for cell in cells.to_pylist())


@dataclass(frozen=True)
class AlarmTables:
    """Scores with their events; `recognised` (S,) in microseconds; `moments` counts events without an end.

    `path` is the table of onsets, `rows` (E,) the index of each event in it.
    """

    scores: ScoreTable
    events: Events
    recognised: Integers
    moments: int
    path: Path
    rows: Integers

    @property
    def any_recognised(self) -> bool:
        """Whether the onsets tell when clinicians acted."""
        return bool((self.recognised != NEVER_ENDS).any())

    def require_events(self) -> None:
        """Raises InvalidInput where no stay has an event: then there is nothing to foretell."""
        if not len(self.events.onset):
            stays = len(self.scores.stay_ids)
            raise InvalidInput(f"{self.path}: no positive subject: no onset of any of {stays} stays")

    def beyond(self, window: timedelta) -> str | None:
        """Which events begin more than `window` after their stay's last score, as a sentence, or None."""
        watched, events = self.scores.watched, self.events
        stay = np.repeat(np.arange(len(events.count)), events.count)
        late = events.onset - watched.time[watched.starts[1:] - 1][stay] > window // timedelta(microseconds=1)
        if not late.any():
            return None
        first = int(np.flatnonzero(late)[np.argmin(self.rows[late])])
        place = f"{self.path}: row {self.rows[first] + 1}, of stay {self.scores.stay_ids[stay[first]]}"
        many = f"{int(np.count_nonzero(late))} of {len(late)} events begin more than {window / _HOUR:g} h"
        return f"{many} after the last score of their stay, the first in {place}: no alarm can foretell them"


def read_tables(scores: Path, onsets: Path) -> AlarmTables:
    """Read both tables. Raises UnreadableSource that names file and row for whatever is wrong in them."""
    score_table, onset_table = read_table(scores), read_table(onsets)
    time, onset = _one_clock(score_table, scores, onset_table, onsets)
    held = scores_at(score_table, scores, time)
    return _with_events(held, onset_table, onsets, onset)


def read_scores(path: Path) -> ScoreTable:
    """Read scores alone, by the first column that tells time. Raises UnreadableSource by file and row."""
    table = read_table(path)
    column = _required(next(iter(timed(table.column_names, "time")), None), table, path, "the time", _TIMES)
    return scores_at(table, path, clock_of(table.column(column), column, path))


def scores_at(table: pa.Table, path: Path, time: Clock) -> ScoreTable:
    """The scores of a table at the times of one of its columns."""
    _refuse_several_models(table, path)
    stays, score = _stays(table, path), _scores(table, path)
    codes, stay_ids = pd.factorize(stays)
    order = np.lexsort((time.time, codes))
    _refuse_bad_times(codes, stay_ids, time, order, path)
    watched = Watched(np.bincount(codes).astype(np.int64), time.time[order], score[order])
    return ScoreTable(path, table, stay_ids, watched, order, time.dates)


def read_table(path: Path) -> pa.Table:
    """The whole table; cells of a text file stay text."""
    if not path.is_file():
        raise UnreadableSource(f"{path}: no such file; expected a CSV, TSV or Parquet table")
    try:
        if path.suffix.lower() in {".parquet", ".pq"}:
            table = pa.parquet.read_table(path)
        else:
            table = _read_text(path)
        return pa.Table.from_arrays([_plain(column) for column in table.columns], names=table.column_names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadableSource(f"{path}: expected a whole table, but {error}") from error


def _read_text(path: Path) -> pa.Table:
    delimiter, names = _header(path)
    broken: list[UnreadableSource] = []

    def set_aside(row: Any) -> str:  # its number counts the header
        fault = f"{row.actual_columns} cells, expected {row.expected_columns}: {row.text[:120]}"
        broken.append(at_row(path, row.number - 2, fault))
        return "skip"

    table = pa.csv.read_csv(
        path,
        read_options=pa.csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
        parse_options=pa.csv.ParseOptions(delimiter=delimiter, invalid_row_handler=set_aside),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
        ),
    )
    if broken:
        raise broken[0]
    return table


def _header(path: Path) -> tuple[str, list[str]]:
    """What separates the cells, and the names of the columns."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        header = lines.readline(_LONGEST_HEADER).rstrip("\r\n")
    delimiter = max("\t,;|", key=header.count)
    return delimiter, [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text without blanks around it, of which nothing is no cell; categories and decimals as their values."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if is_text(column.type):
        trimmed = pc.utf8_trim_whitespace(column)
        return pc.if_else(pc.equal(trimmed, ""), None, trimmed)
    return column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column


def _stays(table: pa.Table, path: Path) -> npt.NDArray[np.object_]:
    """Whose each row is, as text, so that 7 in one file is 7 in the other."""
    column = _required(named(table.column_names, STAY), table, path, "the stay", STAY[:4])
    cells = table.column(column)
    if pa.types.is_floating(cells.type):
        cells = pc.if_else(pc.is_nan(cells), None, cells)
        whole = pc.all(pc.equal(cells, pc.floor(cells))).as_py()
        cells = cells.cast(pa.int64()) if whole else cells
    texts: npt.NDArray[np.object_] = cells.cast(pa.string()).to_pandas().to_numpy(dtype=object)
    empty = pd.isna(texts)
    if empty.any():
        raise at_row(path, int(np.argmax(empty)), f"{column} is empty")
    return texts


def _scores(table: pa.Table, path: Path) -> Floats:
    """The scores (N,), NaN where the status says that there is none."""
    column = _required(named(table.column_names, SCORE), table, path, "the score", SCORE[:4])
    if not len(table):
        raise UnreadableSource(f"{path}: no row; expected one a score")
    cells = table.column(column)
    score = numbers(cells, column, path)
    silent = _without_score(table) & ~np.asarray(cells.is_valid().to_numpy(zero_copy_only=False), np.bool_)
    good = silent | ((score >= 0) & (score <= 1))
    if not good.all():
        row = int(np.argmin(good))
        found = "is empty" if cells[row].as_py() is None else f"{cells[row].as_py()} is outside [0, 1]"
        raise at_row(path, row, f"{column} {found}; expected a number in [0, 1]")
    return score


def _without_score(table: pa.Table) -> Booleans:
    """Rows whose status says that nothing was scored, (N,)."""
    if "status" not in table.column_names:
        return np.zeros(len(table), dtype=np.bool_)
    status = table.column("status").cast(pa.string()).to_pylist()
    return np.array([word in {ScoreStatus.ABSENT, ScoreStatus.INDETERMINATE} for word in status], np.bool_)


def _one_clock(scores: pa.Table, path: Path, onsets: pa.Table, onset_path: Path) -> tuple[Clock, Clock]:
    """The times of both tables, of columns that speak of one clock: all dates, or all since admission."""
    columns = timed(scores.column_names, "time")
    _required(next(iter(columns), None), scores, path, "the time", _TIMES)
    onset_columns = timed(onsets.column_names, "onset")
    _required(next(iter(onset_columns), None), onsets, onset_path, "the onset", ("onset", "onset_hour"))
    times = [clock_of(scores.column(column), column, path) for column in columns]
    for onset in (clock_of(onsets.column(column), column, onset_path) for column in onset_columns):
        for time in times:
            if time.dates == onset.dates or not onset.given.any():
                return time, onset
    theirs, ours = ("numbers", "dates") if times[0].dates else ("dates", "numbers")
    raise UnreadableSource(
        f"{onset_path}: {onset_columns[0]} holds {theirs}, but {columns[0]} of {path} holds {ours}; "
        "expected one clock"
    )


def _refuse_bad_times(
    codes: Integers, stay_ids: npt.NDArray[np.object_], time: Clock, order: Integers, path: Path
) -> None:
    if not time.given.all():
        raise at_row(path, int(np.argmin(time.given)), f"{time.column} is empty")
    if not time.dates and (time.time < 0).any():
        raise at_row(path, int(np.argmax(time.time < 0)), f"{time.column} is before admission")
    again = (np.diff(codes[order]) == 0) & (np.diff(time.time[order]) == 0)
    if again.any():
        row = int(order[1:][again].min())
        raise at_row(path, row, f"stay {stay_ids[codes[row]]} has two scores at one {time.column}")


def _refuse_several_models(table: pa.Table, path: Path) -> None:
    if _MODEL in table.column_names and len(models := table.column(_MODEL).unique().to_pylist()) > 1:
        raise UnreadableSource(
            f"{path}: scores of several models, {', '.join(map(str, models))}; expected those of one "
            "(choose-policy takes an evaluation's folder and --model)"
        )


def _with_events(held: ScoreTable, table: pa.Table, path: Path, onset: Clock) -> AlarmTables:
    place = {stay: index for index, stay in enumerate(held.stay_ids)}
    stays = _stays(table, path)
    for row, stay in enumerate(stays):
        if stay not in place:
            raise at_row(path, row, f"stay {stay} has no score in {held.path}")
    codes = np.array([place[stay] for stay in stays], dtype=np.int64)
    recognised = _recognised(table, path, onset, codes, len(place))
    end, ended = _ends(table, path, onset)
    kept = np.flatnonzero(onset.given)
    _refuse_early(onset, kept, held.watched.time[held.watched.starts[codes]], stays, path)
    order = kept[np.lexsort((onset.time[kept], codes[kept]))]
    again = (np.diff(codes[order]) == 0) & (np.diff(onset.time[order]) == 0)
    if again.any():
        row = int(order[1:][again].min())
        raise at_row(path, row, f"stay {stays[row]} has two events at one {onset.column}")
    count = np.bincount(codes[kept], minlength=len(place)).astype(np.int64)
    events = Events(count, onset.time[order], end[order])
    return AlarmTables(held, events, recognised, int(np.count_nonzero(~ended[kept])), path, order)


def _refuse_early(
    onset: Clock, kept: Integers, first_score: Integers, stays: npt.NDArray[np.object_], path: Path
) -> None:
    """Dates do not tell admission: there the first score of each row's stay, (N,), stands for it."""
    early = onset.time[kept] < (first_score[kept] if onset.dates else 0)
    if early.any():
        row = int(kept[np.argmax(early)])
        bound = "the first score" if onset.dates else "admission"
        raise at_row(
            path, row, f"{onset.column} of stay {stays[row]} is before {bound}; leave such events out"
        )


def _ends(table: pa.Table, path: Path, onset: Clock) -> tuple[Integers, Booleans]:
    """When each row's event ends, and whether the table says so; a moment otherwise."""
    clock = _further(table, path, onset, "end")
    if clock is None:
        return onset.time, np.zeros(len(table), dtype=np.bool_)
    early = clock.given & onset.given & (clock.time < onset.time)
    if early.any():
        raise at_row(path, int(np.argmax(early)), f"{clock.column} is before {onset.column}")
    return np.where(clock.given, clock.time, onset.time), clock.given


def _recognised(table: pa.Table, path: Path, onset: Clock, codes: Integers, stays: int) -> Integers:
    """The first recognition of each stay, (S,)."""
    first = np.full(stays, NEVER_ENDS, dtype=np.int64)
    clock = _further(table, path, onset, "recognised")
    if clock is not None:
        np.minimum.at(first, codes[clock.given], clock.time[clock.given])
    return first


def _further(table: pa.Table, path: Path, onset: Clock, role: str) -> Clock | None:
    """A column of the onsets' own clock."""
    columns = timed(table.column_names, "end" if role == "end" else "recognised")
    clocks = [clock_of(table.column(column), column, path) for column in columns]
    for clock in clocks:
        if clock.given.any() and clock.dates == onset.dates:
            return clock
    if any(clock.given.any() for clock in clocks):
        raise UnreadableSource(f"{path}: {columns[0]} and {onset.column} tell time by different clocks")
    return None


def _required(column: str | None, table: pa.Table, path: Path, what: str, examples: Sequence[str]) -> str:
    if column is None:
        raise UnreadableSource(
            f"{path}: no column tells {what}; expected one such as {', '.join(examples)}, "
            f"found {', '.join(table.column_names) or 'none'}"
        )
    return column
