"""What both definitions of SOFA are made of: points by threshold; the pairs, sums and runs behind them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.clinical.interventions import InterventionKind
from pipelines.label.hours import HOUR, Intervals, Series, StayHours, Times, Values, latest, mark, merged

FIO2_HOLDS_HOURS = 8.0  # a setting is charted at least once a shift
SETTINGS_HOLD_HOURS = 8.0
ROOM_AIR = 0.21
ROOM_AIR_HOURS = 24.0  # no oxygen charted for as long as a component looks back
GCS_HOLDS_HOURS = 24.0  # how old the last total before a tube may be
LONGEST_URINE_GAP_HOURS = 12.0  # nothing charted for longer than a shift is no anuria
SPOKEN_VERBAL = 2  # the least that is a sound
SPOKEN_TOTAL = 12  # eyes 4, motor 6 and no sound make 11
DECIMALS = 9  # 112 / 0.28 is 400 and a day of 499.9999999999 mL is 500: limits are met in decimals
INFUSION_GAP = HOUR // 4  # a change of syringe interrupts the charting, not the infusion

VENTILATOR_SETTINGS = (
    "total_peep",
    "tidal_volume_set",
    "tidal_volume_observed",
    "peak_inspiratory_pressure",
)


def below(value: Values, limits: tuple[float, ...]) -> Values:
    """One point for each limit that a value (n,) lies below; NaN stays NaN."""
    return _points(value, value[:, None] < np.asarray(limits))


def at_most(value: Values, limits: tuple[float, ...]) -> Values:
    """One point for each limit that a value (n,) does not exceed; NaN stays NaN."""
    return _points(value, value[:, None] <= np.asarray(limits))


def at_least(value: Values, limits: tuple[float, ...]) -> Values:
    """One point for each limit that a value (n,) reaches; NaN stays NaN."""
    return _points(value, value[:, None] >= np.asarray(limits))


def above(value: Values, limits: tuple[float, ...]) -> Values:
    """One point for each limit that a value (n,) exceeds; NaN stays NaN."""
    return _points(value, value[:, None] > np.asarray(limits))


def supported(stay: StayHours, time: Times) -> npt.NDArray[np.bool_]:
    """Whether breathing was supported at each time (n,): by a ventilation, invasive or not.

    A stay without any charted ventilation is judged by its ventilator settings instead: a pressure or tidal
    volume above 0, at most 8 h old.
    """
    invasive = stay.given(InterventionKind.INVASIVE_VENTILATION)
    mask = stay.given(InterventionKind.NONINVASIVE_VENTILATION)
    if len(invasive.start) or len(mask.start):
        return np.asarray(invasive.covers(time) | mask.covers(time))
    settings = [latest(stay.of(name), time, SETTINGS_HOLD_HOURS) > 0 for name in VENTILATOR_SETTINGS]
    return np.asarray(np.any(settings, axis=0))


def oxygen_fraction(stay: StayHours, time: Times) -> Values:
    """The FiO2 in force at each time (n,); NaN where it is not known.

    It is the newest charted, at most 8 h old. Where none was charted for 24 h it is room air, unless
    breathing was supported or an oxygen flow above 0 was charted in those hours: then it is not known.
    """
    charted = stay.of("fio2")
    flow = stay.of("oxygen_flow")
    flowing = Series(flow.time[flow.value > 0], flow.value[flow.value > 0])
    oxygen = ~np.isnan(latest(charted, time, ROOM_AIR_HOURS)) | ~np.isnan(
        latest(flowing, time, ROOM_AIR_HOURS)
    )
    otherwise = np.where(oxygen | supported(stay, time), np.nan, ROOM_AIR)
    in_force = latest(charted, time, FIO2_HOLDS_HOURS)
    return np.where(np.isnan(in_force), otherwise, in_force)


def oxygenation(stay: StayHours, measured: Series) -> Values:
    """A pressure or saturation (n,) over the FiO2 in force; NaN where that is not known."""
    return np.round(measured.value / oxygen_fraction(stay, measured.time), DECIMALS)


def arterial_pressure(stay: StayHours) -> Series:
    """Mean arterial pressure: as charted, and (SBP + 2 DBP) / 3 of one time at which it was not."""
    charted = stay.of("mean_arterial_pressure")
    systolic, diastolic = stay.of("systolic_pressure"), stay.of("diastolic_pressure")
    time = np.setdiff1d(np.intersect1d(systolic.time, diastolic.time), charted.time)
    # the lowest of several values of one time: the worst
    derived = (_lowest(systolic, time) + 2 * _lowest(diastolic, time)) / 3
    return Series(np.concatenate([charted.time, time]), np.concatenate([charted.value, derived]))


def coma_scale(stay: StayHours, untestable: Intervals) -> Series:
    """The Glasgow coma scale at each time it was charted, 3 to 15; NaN where it is not known.

    It is the charted total or the sum of its three components at one time, the lower where both stand. With
    a tube (verbal 0), or inside `untestable` without a spoken answer (verbal below 2 or not charted, and a
    total below 12, which needs none), it is the last total before, at most 24 h older than the first such
    charting.
    """
    time = np.union1d(
        stay.of("gcs_total").time,
        np.intersect1d(
            np.intersect1d(stay.of("gcs_eye").time, stay.of("gcs_motor").time), stay.of("gcs_verbal").time
        ),
    )
    verbal = _lowest(stay.of("gcs_verbal"), time)
    summed = _lowest(stay.of("gcs_eye"), time) + verbal + _lowest(stay.of("gcs_motor"), time)
    total = np.fmin(_lowest(stay.of("gcs_total"), time), summed)
    silent = untestable.covers(time) & ~(verbal >= SPOKEN_VERBAL) & (total < SPOKEN_TOTAL)
    return Series(time, _held(time, total, ~silent & ~(verbal == 0)))


def _held(time: Times, total: Values, testable: npt.NDArray[np.bool_]) -> Values:
    """`total` (n,), and where it cannot be tested the last that could, if it is recent enough."""
    index = np.arange(len(time))
    last = np.maximum.accumulate(np.where(testable, index, -1))
    first_silent = np.minimum(last + 1, len(time) - 1)
    age = time[first_silent] - time[last]
    recent = (last >= 0) & (age <= GCS_HOLDS_HOURS * HOUR)
    return np.where(testable, total, np.where(recent, total[last], np.nan))


def urine(stay: StayHours, window_hours: int) -> Series:
    """The urine of the `window_hours` up to each entry, in mL; NaN where they are not full.

    They are full where the stay had lasted as long and no entry of them came more than 12 h after the one
    before it (or the admission). Equal entries of one time are one entry.
    """
    entries = stay.of("urine_output")
    pairs = np.unique(np.column_stack([entries.time.astype(np.float64), entries.value]), axis=0)
    time, total = pairs[:, 0].astype(np.int64), np.concatenate([[0.0], np.cumsum(pairs[:, 1])])
    index = np.arange(len(time))
    first = np.searchsorted(time, time - window_hours * HOUR, side="right")
    after_last = np.searchsorted(time, time, side="right")
    gap = np.diff(time, prepend=0) > LONGEST_URINE_GAP_HOURS * HOUR
    last_gap = np.maximum.accumulate(np.where(gap, index, -1))
    full = (time >= window_hours * HOUR) & (last_gap < first)
    return Series(time, np.where(full, np.round(total[after_last] - total[first], DECIMALS), np.nan))


def infused(hourly: Values, given: Intervals, points: Values) -> None:
    """Raise `hourly` (T,) to the `points` (n,) of infusions that ran for at least an hour.

    Each level of points has its own runs: consecutive intervals of at least so many points, together an hour
    long. A run counts from its start.
    """
    for level in np.unique(points[points > 0]):
        enough = points >= level
        start, end = merged(given.start[enough], given.end[enough], INFUSION_GAP)
        long = end - start >= HOUR
        mark(hourly, start[long], end[long], float(level))


def _points(value: Values, reached: npt.NDArray[np.bool_]) -> Values:
    return np.where(np.isnan(value), np.nan, reached.sum(axis=1, dtype=np.float64))


def _lowest(series: Series, time: Times) -> Values:
    """The lowest value observed at exactly each time (n,); NaN where there is none."""
    if not len(series.time):
        return np.full(len(time), np.nan)
    index = np.minimum(np.searchsorted(series.time, time, side="left"), len(series.time) - 1)
    return np.where(series.time[index] == time, series.value[index], np.nan)
