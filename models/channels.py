"""What a grid hour knows besides the process: how much was measured, when, and who the patient is.

In intensive care, ordering a test is itself a sign, so whether, how often and how long ago a variable was
measured is told to the network in numbers of its own. Counts are of hours with a measurement, not of
readings: a monitor that reports every minute and one that reports every hour look alike.

    of every variable      last value, its change since the hour before that was measured, measured in the
                           last hour, recency exp(-hours since / 12), hours measured (log), share of the hours
                           so far
    of every vital sign    greatest, least, mean and deviation of its hourly values in the last 6 and 24
                           hours, share of the charted hours, hours measured
    of the stay            measurements and tests so far (log), tests in the last day, first and number of
                           charted hours, variables measured in the last hour
    of the patient         age, sex, hours in hospital, kind of unit
    clock                  hours in the unit; this, the hours in hospital and the age as shares of intervals
                           too, so that a linear layer can bend at their ends
                           (Gorishniy 2022 arXiv:2203.05556)

    n  observations     T  grid hours (hour h is index h - 1)     M  variables     V  vital signs
    C  channels
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.clinical.stay import Stay
from models.compiled import compiled
from models.mgp.encoding import EncodedStay
from models.mgp.standardise import VARIABLES, VITAL_SIGNS

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Channels = npt.NDArray[np.float32]

VITALS = np.array([VARIABLES.index(name) for name in VITAL_SIGNS])
RECENCY_HOURS = 12.0  # a reading fades to a third in half a day, about one laboratory round
WINDOWS_HOURS = (6, 24)
PER_VARIABLE, PER_VITAL, OF_STAY = 6, 4 * len(WINDOWS_HOURS) + 2, 6
LONGEST_HOURS = 336.0  # two weeks, the longest training stay: beyond it the clock channels stand still

# hours in the unit, hours in hospital before it, years: dense where most stays are
CLOCK_EDGES = np.array(
    [*range(7), 8, 10, 12, 15, 18, 22, 26, 30, 36, 42, 48, 54, 60, 72, 90, 120, 168, LONGEST_HOURS]
)
HOSPITAL_EDGES = np.array(
    [0, 0.01, 0.03, 0.1, 0.3, *range(1, 5), 5.5, 7, 9, 12, 17, 25, 35, 48, 72, 96, 150, 210, 320, 600, 2000]
)
AGE_EDGES = np.array([18.0, 30.0, 40.0, 50.0, 55.0, 60.0, 65.0, 70.0, 75.0, 80.0, 85.0, 90.0])
TYPICAL_AGE = 62.0  # years; adults in intensive care

OF_VARIABLES = PER_VARIABLE * len(VARIABLES) + PER_VITAL * len(VITAL_SIGNS)
OF_CLOCK = 3 + len(CLOCK_EDGES) - 1
OF_PATIENT = 8 + len(HOSPITAL_EDGES) + len(AGE_EDGES) - 2 + OF_CLOCK
CHANNELS = OF_VARIABLES + OF_STAY + OF_PATIENT


def channels(stay: Stay, encoded: EncodedStay, learnt: Floats) -> Channels:
    """Every grid hour's channels from what was known by it, (T, CHANNELS): those of variables (variable by
    variable for each kind), of vital signs, of the stay, of the patient and the clock.

    A variable with `learnt` (M,) 0, which training never saw, is as if it had not been measured.
    """
    seen = encoded.of(learnt > 0)
    charted = np.zeros((seen.hours, OF_VARIABLES + OF_STAY), dtype=np.float32)
    rows = seen.time_hours, seen.variable, seen.value
    chart(*rows, seen.known, 0, seen.since_hours, VITALS, charted)
    same = np.tile(patient(stay), (encoded.hours, 1))
    return np.concatenate([charted, same, clock(0, encoded.hours)], axis=1).astype(np.float32)


def of_variable(variable: int) -> Integers:
    """The channels, in [0, CHANNELS), that are made of one variable's measurements alone."""
    own = np.arange(PER_VARIABLE) * len(VARIABLES) + variable
    if variable not in VITALS:
        return own
    place = int(np.flatnonzero(variable == VITALS)[0])
    vital = PER_VARIABLE * len(VARIABLES) + np.arange(PER_VITAL) * len(VITAL_SIGNS) + place
    return np.concatenate([own, vital])


def measured_in_the_hour(variable: int) -> int:
    """The channel that is 1 where a variable was measured in the last hour, else 0."""
    return 2 * len(VARIABLES) + variable


@compiled
def chart(
    time_hours: Floats,
    variable: Integers,
    value: Floats,
    known: Integers,
    begin: int,
    since_hours: Floats,
    vitals: Integers,
    out: Channels,
) -> None:
    """Fill the channels of variables, vital signs and the stay, hour after hour; rows in order of knowledge.

    `known` (T,) is of every hour, `since_hours` and `out` of the hours from `begin` on. A measurement belongs
    to the hour it was made in; one that becomes known late changes no earlier hour.
    """
    hours, variables = len(known), since_hours.shape[1]
    table, newest = np.zeros((hours, variables)), np.full((hours, variables), -np.inf)
    last, before = np.full(variables, -1), np.full(variables, -1)  # the newest charted hours of a variable
    measured, charted = np.zeros(variables), np.zeros(hours)
    row, first = 0, hours
    for hour in range(hours):
        while row < known[hour]:
            place, m = max(int(np.ceil(time_hours[row])), 1) - 1, variable[row]
            measured[m] += newest[place, m] == -np.inf
            charted[place] = 1.0
            first = min(first, place)
            if time_hours[row] >= newest[place, m]:
                table[place, m], newest[place, m] = value[row], time_hours[row]
            if place > last[m]:
                last[m], before[m] = place, last[m]
            elif before[m] < place < last[m]:
                before[m] = place
            row += 1
        if hour < begin:
            continue
        rows, column, now = charted[: hour + 1].sum(), PER_VARIABLE * variables, out[hour - begin]
        _of_variables(hour, table, last, before, measured, since_hours[hour - begin], now)
        _of_vitals(hour, table, newest, measured, rows, vitals, now[column:])
        column += PER_VITAL * len(vitals)
        _of_stay(hour, newest, measured, rows, min(first, hour + 1), vitals, now[column:])


@compiled
def _of_variables(
    hour: int,
    table: Floats,
    last: Integers,
    before: Integers,
    measured: Floats,
    since_hours: Floats,
    out: Channels,
) -> None:
    variables = len(measured)
    for m in range(variables):
        if last[m] >= 0:
            out[m] = table[last[m], m]
        if before[m] >= 0:
            out[variables + m] = table[last[m], m] - table[before[m], m]
        out[2 * variables + m] = since_hours[m] < 1.0
        out[3 * variables + m] = np.exp(-since_hours[m] / RECENCY_HOURS)
        out[4 * variables + m] = np.log1p(measured[m]) / 2.0
        out[5 * variables + m] = measured[m] / (hour + 1)


@compiled
def _of_vitals(
    hour: int,
    table: Floats,
    newest: Floats,
    measured: Floats,
    rows: float,
    vitals: Integers,
    out: Channels,
) -> None:
    for v in range(len(vitals)):
        m, column = vitals[v], v
        for window in WINDOWS_HOURS:
            greatest, least, total, squares, count = -np.inf, np.inf, 0.0, 0.0, 0
            for place in range(max(hour + 1 - window, 0), hour + 1):
                if newest[place, m] > -np.inf:
                    one = table[place, m]
                    greatest, least, count = max(greatest, one), min(least, one), count + 1
                    total, squares = total + one, squares + one * one
            if count:
                mean = total / count
                out[column], out[column + len(vitals)], out[column + 2 * len(vitals)] = greatest, least, mean
                out[column + 3 * len(vitals)] = np.sqrt(max(squares / count - mean * mean, 0.0))
            column += 4 * len(vitals)
        out[column] = measured[m] / max(rows, 1.0)
        out[column + len(vitals)] = min(measured[m] / 50.0, 4.0)


@compiled
def _of_stay(
    hour: int, newest: Floats, measured: Floats, rows: float, first: int, vitals: Integers, out: Channels
) -> None:
    day = newest[max(hour - 23, 0) : hour + 1]
    tests = 0
    for place in range(len(day)):
        for m in range(len(measured)):
            tests += day[place, m] > -np.inf
        for m in vitals:
            tests -= day[place, m] > -np.inf
    tested = measured.sum()
    for m in vitals:
        tested -= measured[m]
    out[0] = np.log1p(measured.sum()) / 3.0
    out[1] = np.log1p(tested) / 3.0
    out[2] = np.log1p(tests) / 3.0
    out[3] = min(first, 48) / 12.0
    out[4] = np.log1p(rows) / 3.0
    out[5] = (newest[hour] > -np.inf).sum() / 10.0


def patient(stay: Stay) -> Floats:
    """Who the patient is, the same in every hour: (OF_PATIENT - OF_CLOCK,)."""
    unit = (stay.care_unit or "").casefold()
    age, waited = stay.age_years, _hours_in_hospital(stay)
    fixed = [
        0.0 if age is None else (age - TYPICAL_AGE) / 16.0,
        float(age is None),
        float(stay.sex == "female"),
        float(stay.sex == "male"),
        np.log1p(waited) / 3.0,
        float(stay.hospital_admitted_at is None),
        float("medical" in unit or "micu" in unit),
        float("surgical" in unit or "sicu" in unit),
    ]
    years = np.array([TYPICAL_AGE if age is None else age])
    alone = [shares(np.array([waited]), HOSPITAL_EDGES)[0], shares(years, AGE_EDGES)[0]]
    return np.concatenate([fixed, *alone])


def clock(begin: int, hours: int) -> Floats:
    """How long the stay has lasted at hours begin + 1 .. `hours`: (hours - begin, OF_CLOCK)."""
    hour = np.minimum(np.arange(begin + 1, hours + 1, dtype=np.float64), LONGEST_HOURS)
    smooth = np.stack([np.log(hour) / 3.0, hour / 100.0, np.exp(-hour / 4.0)], axis=1)
    return np.concatenate([smooth, shares(hour, CLOCK_EDGES)], axis=1)


def shares(x: Floats, edges: Floats) -> Floats:
    """How much of each interval between `edges` (E,) lies below x (T,), in [0, 1]: (T, E - 1)."""
    return np.asarray(np.clip((x[:, None] - edges[:-1]) / np.diff(edges), 0.0, 1.0))


def _hours_in_hospital(stay: Stay) -> float:
    """Hours in hospital before the unit; a transfer charted after admission counts as none."""
    if stay.hospital_admitted_at is None:
        return 0.0
    return max((stay.admitted_at - stay.hospital_admitted_at).total_seconds() / 3600.0, 0.0)
