"""A stay as arrays: its observations in the order they became known, and what each grid hour knows.

    n  observations     T  grid hours (hour h is index h - 1)     M  variables     C  side channels

The side channels carry what a posterior mean cannot: whether and how long ago each variable was measured
(in intensive care, ordering a test is itself a sign), who the patient is, and how long the stay has lasted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.clinical.errors import InvalidInput
from models.clinical.stay import Stay
from models.clinical.variables import variable as catalogued
from models.mgp.standardise import VARIABLES, Standardisation

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR_US = 3_600_000_000
# A monitor that reports every minute says little more than one that reports every ten, and costs a thousand
# times as much (the factorisation is cubic). Two, so that a corrected value is still heard.
THIN_US, THIN_MOST = HOUR_US // 3, 2
RECENCY_HOURS = 12.0  # a reading fades to a third in half a day, about one laboratory round
STATIC_CHANNELS = (
    "age", "age_unknown", "female", "male", "hours_in_hospital", "hospital_unknown", "medical_unit",
    "surgical_unit", "log_hours_in_unit", "hours_in_unit", "very_first_hours",
)  # fmt: skip
LONGEST_HOURS = 336.0  # two weeks, the longest training stay: beyond it the clock channels stand still

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class EncodedStay:
    """`time_hours`, `value` (standardised), `variable` (n,), ordered by (known, time, variable, value) and
    thinned to at most two readings of a variable in twenty minutes;
    `known` (T,) how many of them each hour may use; `since_hours` (T, M) since the last measurement, inf if
    none; `statics` (T, 11).
    """

    time_hours: Floats
    variable: Integers
    value: Floats
    known: Integers
    since_hours: Floats
    statics: Floats

    @property
    def hours(self) -> int:
        """T, how many grid hours there are."""
        return len(self.known)


def encode(stay: Stay, standardisation: Standardisation, hours: int) -> EncodedStay:
    """The first `hours` grid hours of a stay. Raises UnknownVariable, InvalidInput for a value not finite."""
    time, known_at, which, value = _rows(stay)
    grid = HOUR_US * np.arange(1, hours + 1)
    kept = _thinned(time, which)
    return EncodedStay(
        time_hours=time[kept] / HOUR_US,
        variable=which[kept],
        value=standardisation.forward(which[kept], value[kept]),
        known=np.searchsorted(known_at[kept], grid, side="right").astype(np.int64),
        since_hours=_since(time, known_at, which, grid),
        statics=_statics(stay, hours),
    )


def side_channels(encoded: EncodedStay) -> npt.NDArray[np.float32]:
    """Measured in the last hour (M), recency (M) and statics (11), side by side: (T, C)."""
    measured = encoded.since_hours < 1.0
    recency = np.exp(-encoded.since_hours / RECENCY_HOURS)
    return np.concatenate([measured, recency, encoded.statics], axis=1).astype(np.float32)


def _rows(stay: Stay) -> tuple[Integers, Integers, Integers, Floats]:
    """Time and known_at in microseconds since admission, variable index and value, in a total order."""
    table = stay.observations
    which = pd.Index(VARIABLES).get_indexer(pd.Index(table["variable"])).astype(np.int64)
    read = which >= 0
    if not read.all():
        for name in table["variable"][~read].unique():
            catalogued(str(name))
        stay, which = replace(stay, observations=table[read]), which[read]
    value = stay.observations["value"].to_numpy(dtype=np.float64)
    if not np.isfinite(value).all():
        row = int(np.argmin(np.isfinite(value)))
        raise InvalidInput(
            f"stay {stay.stay_id}: {VARIABLES[which[row]]} has the value {value[row]} in row {row}",
            value=float(value[row]),
            bound="a finite number",
        )
    time, known_at = _since_admission(stay, "time"), _since_admission(stay, "known_at")
    order = np.lexsort((value, which, time, known_at))
    return time[order], known_at[order], which[order], value[order]


def _thinned(time: Integers, which: Integers) -> npt.NDArray[np.bool_]:
    """Whether a row is among the first known of its variable in its twenty minutes: (n,).

    What is known earlier never depends on what is known later, so a thinned stay is cut like any other.
    """
    bins = time // THIN_US * len(VARIABLES) + which
    order = np.argsort(bins, kind="stable")
    starts = np.searchsorted(bins[order], bins[order], side="left")
    kept = np.empty(len(time), dtype=bool)
    kept[order] = np.arange(len(time)) - starts < THIN_MOST
    return kept


def _since_admission(stay: Stay, column: str) -> Integers:
    """A time column as whole microseconds since admission, so that moving a stay in time changes no bit."""
    moments = np.asarray(stay.observations[column], dtype="datetime64[us]").astype(np.int64)
    return moments - (stay.admitted_at - _EPOCH) // timedelta(microseconds=1)


def _since(time: Integers, known_at: Integers, which: Integers, grid: Integers) -> Floats:
    """Hours since each variable was last measured, as known at each grid hour; inf if never: (T, M)."""
    never = np.iinfo(np.int64).min
    last = np.full((len(grid), len(VARIABLES)), never, dtype=np.int64)
    first_hour = np.searchsorted(grid, known_at, side="left")
    inside = first_hour < len(grid)
    np.maximum.at(last, (first_hour[inside], which[inside]), time[inside])
    last = np.maximum.accumulate(last, axis=0)
    seen = last != never
    return np.where(seen, (grid[:, None] - np.where(seen, last, 0)) / HOUR_US, np.inf)


def _statics(stay: Stay, hours: int) -> Floats:
    """Who the patient is, repeated, and how long the stay has lasted: (T, 11)."""
    unit = (stay.care_unit or "").casefold()
    fixed = [
        0.0 if stay.age_years is None else (stay.age_years - 62.0) / 16.0,  # adults in intensive care
        float(stay.age_years is None),
        float(stay.sex == "female"),
        float(stay.sex == "male"),
        _hours_in_hospital(stay),
        float(stay.hospital_admitted_at is None),
        float("medical" in unit or "micu" in unit),
        float("surgical" in unit or "sicu" in unit),
    ]
    hour = np.minimum(np.arange(1, hours + 1, dtype=np.float64), LONGEST_HOURS)
    clock = np.stack([np.log(hour) / 3.0, hour / 100.0, np.exp(-hour / 4.0)], axis=1)
    return np.concatenate([np.tile(fixed, (hours, 1)), clock], axis=1)


def _hours_in_hospital(stay: Stay) -> float:
    """log(1 + hours in hospital before the unit) / 3; a transfer charted after admission counts as none."""
    if stay.hospital_admitted_at is None:
        return 0.0
    waited = (stay.admitted_at - stay.hospital_admitted_at).total_seconds() / 3600.0
    return float(np.log1p(max(waited, 0.0))) / 3.0
