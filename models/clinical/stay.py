"""A stay: one monitored admission and everything observed in it.

Times are UTC. Every observation carries two clocks: `time`, when it was measured, and `known_at`, when it
could first be used. Scoring at t uses what was known by t. An observation that was later corrected or
withdrawn stands in the interval [known_at, known_until): what was scored meanwhile was scored on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.clinical.errors import InvalidInput
from models.clinical.interventions import empty_interventions, microseconds
from models.clinical.score import GRID_STEP as GRID_STEP  # noqa: PLC0414 offered here too

Sex = Literal["female", "male"]

_NEVER = np.datetime64("NaT", "us")
_TEXT = pd.StringDtype(na_value=np.nan)  # what "str" means; that name is looked up anew each time
OBSERVATION_COLUMNS = ("time", "known_at", "known_until", "variable", "value", "censored")


def empty_observations() -> pd.DataFrame:
    """An observation table without rows, in the schema of `Stay.observations`."""
    return observation_table([], [], [], [])


def observation_table(
    time: object,
    known_at: object,
    variable: object,
    value: object,
    *,
    known_until: object = None,
    censored: object = None,
) -> pd.DataFrame:
    """The long table of a stay: one row an observation, sorted by (known_at, time, variable, value).

    Columns: `time`, `known_at` and `known_until` (datetime64[us, UTC]; `known_until` NaT while the
    observation stands, else when its correction or withdrawal became known), `variable` (catalogue name),
    `value` (float64, in the variable's canonical unit), `censored` ("<" or ">" where `value` is the detection
    limit that the measured quantity lies beyond, else ""). The order is total, so two tables of the same
    rows are equal.
    """
    times = microseconds(time)
    knowns = times if known_at is time else microseconds(known_at)
    values = np.asarray(value, dtype=np.float64)
    untils = microseconds(np.full(len(times), _NEVER) if known_until is None else known_until)
    name, names = _coded(variable)
    sign, signs = _coded([""] * len(times) if censored is None else censored)
    # sorted before it is a table, and by codes, because every stay passes here
    order = np.lexsort((signs, untils.asi8, values, names, times.asi8, knowns.asi8))
    return pd.DataFrame(
        {
            "time": times.array.take(order),
            "known_at": knowns.array.take(order),
            "known_until": untils.array.take(order),
            "variable": name.take(names[order]),
            "value": values[order],
            "censored": sign.take(signs[order]),
        },
        copy=False,  # nobody else holds these columns
    )


def _coded(text: object) -> tuple[pd.api.extensions.ExtensionArray, npt.NDArray[np.int64]]:
    """The different words in `text` (n,) in order, as a column holds them, and which each is (n,)."""
    words = [*map(str, np.asarray(text, dtype=object).tolist())]
    different = sorted(set(words))
    place = {word: code for code, word in enumerate(different)}
    codes = np.fromiter(map(place.__getitem__, words), np.int64, len(words))
    return pd.array(different, dtype=_TEXT), codes


@dataclass(frozen=True)
class Stay:
    """One monitored admission.

    `observations` is a table made by `observation_table`, `interventions` one made by `intervention_table`,
    which no model may read. Raises InvalidInput if `admitted_at` has no time zone, or an observation is known
    before it was measured.
    """

    stay_id: str
    subject_id: str
    admitted_at: datetime
    observations: pd.DataFrame = field(default_factory=empty_observations, repr=False, compare=False)
    age_years: float | None = None
    sex: Sex | None = None
    care_unit: str | None = None
    hospital_admitted_at: datetime | None = None
    discharged_at: datetime | None = None
    interventions: pd.DataFrame = field(default_factory=empty_interventions, repr=False, compare=False)
    synthetic: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        if self.admitted_at.tzinfo is None:
            raise InvalidInput(
                f"stay {self.stay_id}: admitted_at {self.admitted_at} has no time zone; give it in UTC",
                value=self.admitted_at,
                bound="a time with an offset",
            )
        missing = set(OBSERVATION_COLUMNS) - set(self.observations.columns)
        if missing:
            raise InvalidInput(f"stay {self.stay_id}: observations lack the columns {sorted(missing)}")
        early = self.observations["known_at"].array < self.observations["time"].array
        if early.any():
            row = self.observations[early].iloc[0]
            raise InvalidInput(
                f"stay {self.stay_id}: {row['variable']} known at {row['known_at']}, "
                f"before it was measured at {row['time']}",
                value=row["known_at"],
                bound=f">= {row['time']}",
            )

    @property
    def last_known_at(self) -> datetime:
        """When the newest observation became known; the admission if there is none."""
        if self.observations.empty:
            return self.admitted_at
        newest: datetime = self.observations["known_at"].iloc[-1].to_pydatetime()
        return newest

    def hours(self, time: pd.Series | pd.DatetimeIndex) -> npt.NDArray[np.float64]:
        """Times as hours since admission, exact to the microsecond."""
        return np.asarray((time - pd.Timestamp(self.admitted_at)) / pd.Timedelta(hours=1), dtype=np.float64)

    def grid(self, end: datetime | None = None) -> pd.DatetimeIndex:
        """The scoring times: admission + 1 h, + 2 h, … to the first that covers `end`.

        `end` defaults to `last_known_at`, so the last observation is always scored; a stay without
        observations has an empty grid.
        """
        covered = max((end or self.last_known_at) - self.admitted_at, timedelta(0))
        steps = -(-covered // GRID_STEP)  # ceiling division, exact on timedeltas
        return _grid(self.admitted_at, steps)

    @property
    def revised(self) -> bool:
        """Whether an observation was corrected or withdrawn."""
        return not self.observations["known_until"].array.isna().all()

    def standing(self, time: datetime) -> Stay:
        """The stay without what was corrected or withdrawn by `time`; itself where that is nothing."""
        gone = self.observations["known_until"] <= pd.Timestamp(time)
        if not gone.any():
            return self
        return replace(self, observations=self.observations[~gone].reset_index(drop=True))

    def until(self, time: datetime) -> Stay:
        """The stay as it was known at `time`: what is corrected or withdrawn only later still stands."""
        moment = pd.Timestamp(time)
        observations = self.observations[self.observations["known_at"] <= moment].reset_index(drop=True)
        observations["known_until"] = observations["known_until"].where(observations["known_until"] <= moment)
        begun = self.interventions["start"] <= moment
        return replace(
            self,
            observations=observations,
            interventions=self.interventions[begun].reset_index(drop=True),
            discharged_at=self.discharged_at if self.discharged_at and self.discharged_at <= time else None,
        )


@lru_cache(maxsize=64)  # every member of an ensemble asks for the same one
def _grid(admitted_at: datetime, steps: int) -> pd.DatetimeIndex:
    return pd.date_range(pd.Timestamp(admitted_at) + GRID_STEP, periods=steps, freq=GRID_STEP, unit="us")


@dataclass(frozen=True)
class LabelledStay:
    """A stay with an hourly label: `label[i]` in {0, 1} holds at `hour[i]` hours after admission.

    `hour` (R,) int, increasing; `label` (R,) int8.
    """

    stay: Stay
    hour: npt.NDArray[np.int64]
    label: npt.NDArray[np.int8]
