"""Sepsis-3: organ failure that rises around a suspicion of infection.

    onset = first hour h in [suspicion - 48 h, suspicion + 24 h] where SOFA[h] - baseline[h] >= 2

Sources: Singer et al. 2016, doi:10.1001/jama.2016.0287; Seymour et al. 2016, doi:10.1001/jama.2016.0288;
hourly after Moor et al. 2019, arXiv:1902.01659.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil, floor
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.clinical.errors import InvalidInput
from models.clinical.stay import Stay
from pipelines.label import suspicion
from pipelines.label.hours import WINDOW, Values
from pipelines.label.presets import DEFAULT, Baseline, OnsetAt, Sepsis3Options, Suspicions
from pipelines.label.sofa import HourlySofa, hourly

LABEL_COLUMNS = (
    "stay",
    "suspicion_time",
    "sofa_time",
    "onset",
    "onset_hour",
    "baseline",
    "delta",
    "components",
    "missing",
)


@dataclass(frozen=True)
class Onset:
    """When sepsis began, in hours of stay, and why; every field is None where it did not.

    `sofa_hour` is the hour of the rise, `suspicion_hour` the suspicion in whose window it lies, `baseline`
    the SOFA it rose from, measured in `baseline_hour` (None for an assumed 0), `delta` by how much. `hour`
    is `sofa_hour`, or, by option, the hour that holds the suspicion where that is earlier.
    """

    hour: int | None = None
    sofa_hour: int | None = None
    suspicion_hour: float | None = None
    baseline: float | None = None
    baseline_hour: int | None = None
    delta: float | None = None


NO_ONSET = Onset()


@dataclass(frozen=True)
class Sepsis3Label:
    """The Sepsis-3 label of a stay, with its audit trail: one row of `labels.parquet`.

    `suspicion_time` is the suspicion of the onset; without an onset the first one, and None if infection
    was never suspected. `sofa_time` is the beginning of the hour of the rise, `onset` the onset, both None
    without one; `onset_hour` is the hour of stay that holds it. `components` says which organ systems changed
    between the baseline and the rise and by how many points: they add up to `delta`. `missing` are the
    components that were never measured in the stay.
    """

    stay: str
    suspicion_time: datetime | None = None
    sofa_time: datetime | None = None
    onset: datetime | None = None
    onset_hour: int | None = None
    baseline: float | None = None
    delta: float | None = None
    components: Mapping[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    def as_row(self) -> dict[str, Any]:
        """The label by `LABEL_COLUMNS`; `components` and `missing` as JSON text."""
        row = {name: getattr(self, name) for name in LABEL_COLUMNS}
        return row | {
            "components": json.dumps(dict(self.components)),
            "missing": json.dumps(list(self.missing)),
        }


def onset(
    sofa_hourly: Sequence[float] | npt.NDArray[Any],
    suspicion_hours: Sequence[float] | npt.NDArray[Any],
    baseline: Baseline = "cumulative_minimum",
    before_hours: float = 48.0,
    after_hours: float = 24.0,
    *,
    rise: float = 2.0,
    suspicions: Suspicions = "any",
    onset_at: OnsetAt = "sofa",
) -> Onset:
    """The onset of sepsis from the SOFA of each hour of stay (T,) and the hours of suspicion (S,).

    An hour of stay counts as inside a window when it begins there, both ends included; windows reach neither
    before the admission nor past the last hour. A NaN hour is unknown: it is no baseline and no onset. Of
    several suspicions the one with the earliest onset counts, and of those the first; `suspicions="first"`
    looks at the first alone. `baseline` at hour h is

    - `cumulative_minimum`: the lowest SOFA from the window's start to h;
    - `window_start`: the first known SOFA of the window;
    - `minimum_24h`: the lowest SOFA of the hours h - 23 … h, also of those before the window;
    - `zero`: 0, a patient who was well before.

    Raises InvalidInput for an unknown option, a negative window, or arrays that are not hours.
    """
    options = Sepsis3Options(
        baseline=baseline,
        before_hours=before_hours,
        after_hours=after_hours,
        rise=rise,
        suspicions=suspicions,
        onset_at=onset_at,
    )
    return _onset(_numbers(sofa_hourly, "SOFA"), _numbers(suspicion_hours, "suspicion hours"), options)


def label(stay: Stay, options: Sepsis3Options = DEFAULT) -> Sepsis3Label:
    """The Sepsis-3 label of a stay, from its observations and interventions."""
    sofa = hourly(stay, definition=options.definition)
    return label_from(stay, sofa, suspicion.times(stay, options.suspicion_rule), options)


def label_from(
    stay: Stay, sofa: HourlySofa, suspected: pd.DatetimeIndex, options: Sepsis3Options = DEFAULT
) -> Sepsis3Label:
    """The label of a stay whose `sofa` and suspicions (S,), by the options, are known: to vary the others."""
    # before the first measurement an assumed baseline of 0 must not be left by what was measured later
    components = sofa.filled(options.missing, backwards=options.baseline != "zero")
    found = _onset(components.sum(axis=1), stay.hours(suspected), options)
    first = suspected[0].to_pydatetime() if len(suspected) else None
    if found.hour is None:
        return Sepsis3Label(stay.stay_id, first, missing=sofa.never_measured)
    sofa_hour, suspected_hour = found.sofa_hour or 0, found.suspicion_hour or 0.0
    of_onset = suspected[int(np.argmin(np.abs(stay.hours(suspected) - suspected_hour)))].to_pydatetime()
    rose = pd.Timestamp(stay.admitted_at).tz_convert("UTC").to_pydatetime() + timedelta(hours=sofa_hour)
    return Sepsis3Label(
        stay.stay_id,
        of_onset,
        rose,
        min(rose, of_onset) if options.onset_at == "earlier" else rose,
        found.hour,
        found.baseline,
        found.delta,
        _moved(components, sofa_hour, found.baseline_hour, sofa.names),
        sofa.never_measured,
    )


def _onset(sofa: Values, suspected: Values, options: Sepsis3Options) -> Onset:
    hours = np.unique(suspected[~np.isnan(suspected)])
    if options.suspicions == "first":
        hours = hours[:1]
    best = NO_ONSET
    for hour in hours.tolist():
        found = _in_window(sofa, hour, options)
        if found.hour is not None and (best.hour is None or found.hour < best.hour):
            best = found
    return best


def _in_window(sofa: Values, suspected: float, options: Sepsis3Options) -> Onset:
    first = ceil(max(suspected - options.before_hours, 0))
    last = floor(min(suspected + options.after_hours, len(sofa) - 1))
    if first > last:
        return NO_ONSET
    lowest = _baseline(sofa, first, last, options.baseline)
    delta = sofa[first : last + 1] - lowest
    risen = np.flatnonzero(delta >= options.rise)
    if not len(risen):
        return NO_ONSET
    hour = first + int(risen[0])
    base, points = float(lowest[risen[0]]), float(delta[risen[0]])
    earlier = min(hour, floor(suspected)) if options.onset_at == "earlier" else hour
    return Onset(
        earlier, hour, suspected, base, _baseline_hour(sofa, first, hour, base, options.baseline), points
    )


def _baseline(sofa: Values, first: int, last: int, kind: Baseline) -> Values:
    """The baseline of the hours first … last; NaN where nothing is known yet."""
    window = sofa[first : last + 1]
    if kind == "zero":
        return np.zeros(len(window))
    if kind == "window_start":
        known = window[~np.isnan(window)]
        return np.full(len(window), known[0] if len(known) else np.nan)
    if kind == "cumulative_minimum":
        lowest: Values = np.fmin.accumulate(window)
        return lowest
    padded = np.concatenate([np.full(WINDOW - 1, np.nan), sofa[: last + 1]])
    day = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[first:]
    least: Values = np.fmin.reduce(day, axis=1)
    return least


def _baseline_hour(sofa: Values, first: int, hour: int, base: float, kind: Baseline) -> int | None:
    """The hour that had the baseline: the newest of several, for `window_start` the first known."""
    if kind == "zero":
        return None
    since = max(hour - WINDOW + 1, 0) if kind == "minimum_24h" else first
    equal = np.flatnonzero(sofa[since : hour + 1] == base)
    return since + int(equal[0 if kind == "window_start" else -1])


def _moved(
    components: Values, hour: int, baseline_hour: int | None, names: tuple[str, ...]
) -> Mapping[str, float]:
    before = components[baseline_hour] if baseline_hour is not None else np.zeros(len(names))
    change = components[hour] - before
    return {name: points for name, points in zip(names, change.tolist(), strict=True) if points}


def _numbers(given: Sequence[float] | npt.NDArray[Any], what: str) -> Values:
    values = np.asarray(given, dtype=np.float64)
    if values.ndim != 1:
        raise InvalidInput(
            f"{what} has {values.ndim} dimensions; expected one number an hour", value=values.ndim
        )
    if np.isinf(values).any():
        raise InvalidInput(f"{what} holds an infinite number", value=float("inf"), bound="finite")
    return values
