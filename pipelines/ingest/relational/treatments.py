"""The interventions of a stay from the rows of a relational source: how long, how much, which are repeats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.clinical.interventions import InterventionKind, empty_interventions, intervention_table
from models.clinical.quarantine import Quarantined, Reason
from pipelines.ingest.codes_table import Code, Rule
from pipelines.ingest.relational.rows import NOT_A_TIME, Integers, JudgedRows, moment_text, row_fault
from pipelines.ingest.treatments import rate_in_canonical_unit

# infusion rates are charted hourly, ventilators and dialysis every four hours: after twice that, nobody knows
RATE_HELD = timedelta(hours=2)
STATE_HELD = timedelta(hours=8)

_RATED = frozenset(
    {
        InterventionKind.NOREPINEPHRINE,
        InterventionKind.EPINEPHRINE,
        InterventionKind.DOPAMINE,
        InterventionKind.DOBUTAMINE,
        InterventionKind.PHENYLEPHRINE,
        InterventionKind.VASOPRESSIN,
        InterventionKind.OTHER_VASOPRESSOR,
    }
)

_Done = tuple[int, int, str, float | None, str]


class Treatments:
    """Makes interventions of rows; what depends on the source's codes alone is worked out once."""

    def __init__(self, codes: Sequence[Code]) -> None:
        self._codes = codes
        self._held = np.array([code.rule is Rule.HELD for code in codes], dtype=np.bool_)
        self._named = np.unique([f"{code.target} {code.agent}" for code in codes], return_inverse=True)[1]

    def of(self, values: JudgedRows, observations: pd.DataFrame) -> tuple[pd.DataFrame, list[Quarantined]]:
        """The intervention table and what was set aside; weights are taken from `observations`."""
        ended_at = self._ended_at(values)
        weight = _Weight(observations)
        quarantine: list[Quarantined] = []
        seen: dict[_Done, None] = {}
        for index in range(len(values)):
            if fault := self._fault(values, index):
                quarantine.append(fault)
                continue
            done = self._done(values, index, int(ended_at[index]), weight)
            if done in seen:
                what = f"of {moment_text(done[0])} was read before"
                quarantine.append(row_fault(Reason.DUPLICATE, what, self._codes, values, index))
            seen[done] = None
        return _table(list(seen)), quarantine

    def _fault(self, values: JudgedRows, index: int) -> Quarantined | None:
        if values.rows.withdrawn[index]:
            return row_fault(Reason.WITHDRAWN, "was not given", self._codes, values, index)
        if values.rows.time[index] == NOT_A_TIME:
            return row_fault(Reason.MALFORMED, "has no time", self._codes, values, index, bound="a time")
        return None

    def _done(self, values: JudgedRows, index: int, ended_at: int, weight: _Weight) -> _Done:
        code, start = self._codes[int(values.rows.code[index])], int(values.rows.time[index])
        kind, rate = code.intervention, None
        assert kind is not None  # the caller chose the rows so
        if kind in _RATED:
            number, unit = float(values.rows.number[index]), str(values.unit[index])
            rate = rate_in_canonical_unit(kind, number, unit, weight.at(start))
        return start, max(start, ended_at), str(kind), rate, code.agent

    def _ended_at(self, values: JudgedRows) -> Integers:
        """When each intervention ended; what is charted as a moment lasts until its next row.

        A row that ends it counts as the next, also one that is withdrawn because nothing was given.
        """
        rows = values.rows
        ended_at = rows.ended_at.copy()
        held = self._held[rows.code] & (ended_at == NOT_A_TIME) & (rows.time != NOT_A_TIME)
        named = self._named[rows.code]
        for name in np.unique(named[held]).tolist():
            members = np.flatnonzero(held & (named == name))
            time = rows.time[members]
            moments = np.unique(time)
            following = np.append(moments, np.iinfo(np.int64).max)[np.searchsorted(moments, time, "right")]
            state = np.isnan(rows.number[members])
            longest = np.where(state, _microseconds(STATE_HELD), _microseconds(RATE_HELD))
            ended_at[members] = np.minimum(following, time + longest)
        return ended_at


def _microseconds(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)


def _table(done: Sequence[_Done]) -> pd.DataFrame:
    if not done:
        return empty_interventions()
    starts, ends, kinds, rates, agents = zip(*done, strict=True)
    began, over = (np.array(times, dtype=np.int64).view("datetime64[us]") for times in (starts, ends))
    known = [math.nan if rate is None else rate for rate in rates]
    return intervention_table(began, over, kinds, known, agents)


class _Weight:
    """The body weight in kg at a moment: the last one measured by then, else the first later one."""

    def __init__(self, observations: pd.DataFrame) -> None:
        weighed = observations["variable"].to_numpy() == "body_weight"
        time = np.asarray(observations["time"], dtype="datetime64[us]").astype(np.int64)[weighed]
        order = np.argsort(time, kind="stable")
        self._time = time[order]
        self._value: npt.NDArray[np.float64] = observations["value"].to_numpy(np.float64)[weighed][order]

    def at(self, time: int) -> float | None:
        if not len(self._time):
            return None
        return float(self._value[max(int(np.searchsorted(self._time, time, side="right")) - 1, 0)])
