"""A ward scored hour after hour: what is new of many beds at once, at the cost of an hour each.

rows       all beds' new observations are encoded together; those known later than the hour wait
process    each bed's filter goes on from where it stood (models/mgp/course.py)
network    reads an hour of TILE beds at a time, remembering each bed's past; a tile has one shape, however
           many of its beds have a new hour, and a bed's place in it is the bed's own

The scores are those of `MGPTCN.score` to 1e-6: that reads blocks of hours, and a product of matrices of
another shape rounds otherwise.

    B  beds of a tile     T  grid hours     M  variables     D  draws     C  channels     F  inputs
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from models.channels import OF_PATIENT, OF_STAY, OF_VARIABLES, VITALS, chart, clock, patient
from models.clinical.errors import InvalidInput, ScoringFailed
from models.clinical.score import GRID_STEP, Score, ScoreStatus
from models.clinical.stay import Stay
from models.mgp.course import Course
from models.mgp.encoding import HOUR_US, read, since_epoch
from models.mgp.hourly import HourlyPath
from models.mgp.standardise import VARIABLES
from models.mgp.statespace import state_space
from models.mgp_tcn import DRAW_SEED, MGPTCN, SPREAD
from models.tcn import State
from models.threads import one_thread
from models.watch import must_unfold

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Channels = npt.NDArray[np.float32]

TILE = 16  # beds read at once: a product of 16 x 21 rows takes little more than one of 21
_NEVER = np.iinfo(np.int64).min
_NONE, _NO_ROW = np.zeros(0), np.zeros(0, np.int64)


class _Rows(NamedTuple):
    """Observations (n,): the bed's number, time and known_at in us since its admission, variable, value."""

    bed: Integers
    time_us: Integers
    known_us: Integers
    variable: Integers
    value: Floats

    def of(self, chosen: npt.NDArray[np.generic] | slice) -> _Rows:
        return _Rows._make(column[chosen] for column in self)

    @property
    def hour(self) -> Integers:
        """The first grid hour that may use each."""
        return np.maximum(-(-self.known_us // HOUR_US), 1)


class _Seen(NamedTuple):
    """Rows (n,) of learnt variables, and how many of them each hour knew, `known` (T,)."""

    time_hours: Floats
    variable: Integers
    value: Floats
    known: Integers

    def and_then(self, later: _Seen) -> _Seen:
        """Those and then these, whose `known` counts both."""
        return _Seen._make(np.concatenate(pair) for pair in zip(self, later, strict=True))


@dataclass
class _Bed:
    """One stay: `who` the patient is (C',), its course, `hours` scored from `told` rows, when each variable
    was measured last (M,), and what its channels are charted from.
    """

    stay: Stay
    who: Floats
    course: Course
    hours: int = 0
    told: int = 0
    last_us: Integers = field(default_factory=lambda: np.full(len(VARIABLES), _NEVER))
    seen: _Seen = field(default_factory=lambda: _Seen(_NONE, _NO_ROW, _NONE, _NO_ROW))


class _Hours(NamedTuple):
    """New hours of a bed: `process` (1 + D, T, M), `deviation` (T, M), `beside` (T, C), and since when each
    variable has not been measured, `since_hours` (T, M).
    """

    process: Channels
    deviation: Channels
    beside: Channels
    since_hours: Floats


class Ward:
    """Beds under one model. Raises InvalidInput for a model whose hours change with later ones."""

    def __init__(self, model: MGPTCN) -> None:
        must_unfold(model)
        self._model, self._sides = model, 1 + model.config.draws
        self._path = HourlyPath(state_space(model.kernel), model.config.draws, DRAW_SEED)
        self._numbers: dict[str, int] = {}
        self._beds: dict[int, _Bed] = {}
        self._tiles: list[State] = []
        self._waiting = _Rows(_NO_ROW, _NO_ROW, _NO_ROW, _NO_ROW, _NONE)

    def admit(self, stay: Stay) -> None:
        """A bed more, and what is told of it so far. Raises InvalidInput if the stay lies here already."""
        if stay.stay_id in self._numbers:
            raise InvalidInput(
                f"stay {stay.stay_id} lies here already", value=stay.stay_id, bound="a new stay"
            )
        number = next(number for number in range(len(self._beds) + 1) if number not in self._beds)
        model = self._model
        course = Course(model.kernel, model.config.draws, DRAW_SEED, path=self._path)
        if number // TILE == len(self._tiles):
            self._tiles.append(model.network.start(TILE * self._sides))
        self._keep(number // TILE, np.arange(TILE) == number % TILE, model.network.start(TILE * self._sides))
        self._numbers[stay.stay_id], self._beds[number] = number, _Bed(stay, patient(stay), course)
        try:
            self._take(stay.observations, np.full(len(stay.observations), number, np.int64))
        except InvalidInput:
            self.discharge(stay.stay_id)
            raise

    def discharge(self, stay_id: str) -> None:
        """Forget a bed. Raises KeyError if it is not here."""
        number = self._numbers.pop(stay_id)
        del self._beds[number]
        self._waiting = self._waiting.of(self._waiting.bed != number)

    def advance(self, told: pd.DataFrame, end: datetime) -> dict[str, list[Score]]:
        """The scores of every whole hour up to `end` that is new, of each bed that has one.

        `told` is what is new: observations as in `Stay.observations`, with a column `stay_id`. Raises
        InvalidInput for a stay that is not here, for what was known in an hour that is scored already,
        and for a correction: such a stay is discharged and admitted anew.
        """
        numbers = told["stay_id"].map(self._numbers)
        if numbers.isna().any():
            unknown = told["stay_id"][numbers.isna()].iloc[0]
            raise InvalidInput(f"stay {unknown} does not lie here", value=unknown, bound="an admitted stay")
        self._take(told, np.asarray(numbers, dtype=np.int64))
        beds = self._beds.items()
        hours = {number: int((end - bed.stay.admitted_at) // GRID_STEP) for number, bed in beds}
        ready = self._ready(hours)
        found: dict[str, list[Score]] = {}
        with one_thread(), torch.inference_mode():
            for tile in range(len(self._tiles)):
                found |= self._advance_tile(tile, hours, ready)
        return found

    def _take(self, table: pd.DataFrame, number: Integers) -> None:
        """Let rows (n,) of the beds `number` wait for their hour. Raises InvalidInput as `advance` does."""
        if table["known_until"].notna().any():
            raise InvalidInput("a correction is told", value=None, bound="a stay that is admitted anew")
        admitted = {one: since_epoch(bed.stay.admitted_at) for one, bed in self._beds.items()}
        admitted_us = np.array([admitted[one] for one in number.tolist()], np.int64)
        time, known, variable, value, ours = read(table, admitted_us, "the ward")
        rows = _Rows(number[ours], time, known, variable, value)
        scored = np.array([self._beds[one].hours for one in rows.bed.tolist()], np.int64)
        if (rows.hour <= scored).any():
            late = self._beds[int(rows.bed[rows.hour <= scored][0])].stay.stay_id
            raise InvalidInput(
                f"stay {late}: an observation was known in an hour that is scored already", value=late,
                bound="a stay that is admitted anew",
            )  # fmt: skip
        both = zip(self._waiting, rows, strict=True)
        self._waiting = _Rows._make(np.concatenate(pair) for pair in both)

    def _ready(self, hours: dict[int, int]) -> dict[int, _Rows]:
        """What each bed may use by its grid hour, in the order in which it became known; the rest waits."""
        waiting = self._waiting
        order = np.lexsort((waiting.value, waiting.variable, waiting.time_us, waiting.known_us, waiting.bed))
        rows = waiting.of(order)
        due = rows.hour <= np.array([hours[one] for one in rows.bed.tolist()], np.int64)
        self._waiting, rows = rows.of(~due), rows.of(due)
        bounds = np.searchsorted(rows.bed, np.arange(len(self._tiles) * TILE + 1))
        return {number: rows.of(slice(bounds[number], bounds[number + 1])) for number in self._beds}

    def _advance_tile(
        self, tile: int, hours: dict[int, int], ready: dict[int, _Rows]
    ) -> dict[str, list[Score]]:
        new = {
            number % TILE: self._unfold(self._beds[number], hours[number], ready[number])
            for number in range(tile * TILE, (tile + 1) * TILE)
            if number in self._beds and hours[number] > self._beds[number].hours
        }
        steps = max((len(one.deviation) for one in new.values()), default=0)
        logits = np.stack([self._read(tile, new, step) for step in range(steps)]) if steps else np.empty(0)
        return {
            self._beds[tile * TILE + place].stay.stay_id: self._judged(
                self._beds[tile * TILE + place], one.since_hours, logits[: len(one.deviation), place]
            )
            for place, one in new.items()
        }

    def _unfold(self, bed: _Bed, hours: int, rows: _Rows) -> _Hours:
        """The bed's grid hours up to `hours`, from the rows that these may use for the first time."""
        standardisation, begun, grid = (
            self._model.standardisation,
            bed.hours,
            np.arange(bed.hours + 1, hours + 1),
        )
        value, time = standardisation.forward(rows.variable, rows.value), rows.time_us / HOUR_US
        new = np.searchsorted(rows.hour, grid, side="right")
        run = bed.course.extend(time, rows.variable, value, bed.told + new)
        since = _since(bed.last_us, rows, new, grid)
        learnt = standardisation.learnt > 0
        seen = learnt[rows.variable]
        counts = len(bed.seen.value) + np.concatenate([[0], np.cumsum(seen)])[new]
        bed.seen = bed.seen.and_then(_Seen(time[seen], rows.variable[seen], value[seen], counts))
        charted = np.zeros((len(grid), OF_VARIABLES + OF_STAY), np.float32)
        unlearnt_never = np.where(learnt, since, np.inf)
        chart(*bed.seen, begun, unlearnt_never, VITALS, charted)
        same = np.tile(bed.who, (len(grid), 1))
        beside = np.concatenate([charted, same, clock(begun, hours)], axis=1).astype(np.float32)
        bed.told, bed.hours = bed.told + len(time), hours
        process = np.concatenate([run.mean[None], run.draws])[..., : len(VARIABLES)].astype(np.float32)
        variance = run.variance[:, : len(VARIABLES)].astype(np.float32)
        return _Hours(process, np.sqrt(variance), beside, since)

    def _read(self, tile: int, new: dict[int, _Hours], step: int) -> Floats:
        """Hour `step` of the beds that have one through the network: logits (B, 1 + D)."""
        model, moved = self._model, np.zeros(TILE, bool)
        process = np.zeros((TILE, self._sides, len(VARIABLES)), np.float32)
        deviation = np.zeros((TILE, 1, len(VARIABLES)), np.float32)
        beside = np.zeros((TILE, 1, OF_VARIABLES + OF_STAY + OF_PATIENT), np.float32)
        for place, one in new.items():
            if step < len(one.deviation):
                process[place], deviation[place], beside[place] = (
                    one.process[:, step], one.deviation[step], one.beside[step],
                )  # fmt: skip
                moved[place] = True
        wide = (torch.from_numpy(one).expand(-1, self._sides, -1) for one in (process, deviation, beside))
        inputs = model.network.inputs(*wide).reshape(TILE * self._sides, 1, -1)
        logits, after = model.network(inputs, self._tiles[tile])
        self._keep(tile, moved, after)
        scored: Floats = logits[:, 0, model.config.primary].double().reshape(TILE, self._sides).numpy()
        return scored

    def _keep(self, tile: int, moved: npt.NDArray[np.bool_], after: State) -> None:
        """Remember `after` of the beds (B,) that have moved."""
        if moved.all():
            self._tiles[tile] = after
            return
        chosen = torch.from_numpy(np.repeat(moved, self._sides))
        for before, now in zip(self._tiles[tile], after, strict=True):
            # a recurrent network has its batch second
            rows = (chosen,) if before.shape[0] == len(chosen) else (slice(None), chosen)
            before[rows] = now[rows]

    def _judged(self, bed: _Bed, since_hours: Floats, logits: Floats) -> list[Score]:
        """The newest hours of a bed as scores, from logits (T, 1 + D)."""
        model, first = self._model, bed.hours - len(logits)
        value = model.calibration(logits)
        if not np.isfinite(value).all():
            raise ScoringFailed(f"stay {bed.stay.stay_id}: the network gave a score that is not finite")
        low, high = np.percentile(value[:, 1:], SPREAD, axis=1) if value.shape[1] > 1 else (None, None)
        found = []
        for hour, since in enumerate(since_hours):
            status, reason = model.config.sufficiency.judge(since)
            there = status is ScoreStatus.PRESENT
            found.append(
                Score(
                    bed.stay.admitted_at + (first + hour + 1) * GRID_STEP,
                    float(value[hour, 0]) if there else None,
                    status,
                    reason,
                    float(low[hour]) if there and low is not None else None,
                    float(high[hour]) if there and high is not None else None,
                )
            )
        return found


def _since(last_us: Integers, rows: _Rows, new: Integers, grid: Integers) -> Floats:
    """Hours since each variable was last measured, as known at the hours `grid` (T,), inf if never: (T, M).

    `new` (T,) of the rows are known by each; `last_us` (M,) moves along.
    """
    out, begun = np.full((len(grid), len(last_us)), np.inf), 0
    for t, stop in enumerate(new.tolist()):
        np.maximum.at(last_us, rows.variable[begun:stop], rows.time_us[begun:stop])
        measured = last_us != _NEVER
        out[t, measured] = (grid[t] * HOUR_US - last_us[measured]) / HOUR_US
        begun = stop
    return out
