"""Hand-made features of every labelled hour, for gradient boosting: what a competent user would try first.

    S  stays of a block     T  hours     M  variables     R  labelled hours     F  features

Each hour sees what was known by it: a value enters in the first whole hour at which it was known. All of it
is arithmetic along the hours of a block of stays, padded at the end; what comes later never reaches back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.clinical.stay import GRID_STEP, LabelledStay
from models.mgp.standardise import VARIABLES

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

VITALS = VARIABLES[:7]  # charted about every hour, so that an hour's window holds several
LABORATORY = VARIABLES[7:]
WINDOWS = (6, 12, 24)
STAYS_A_BLOCK = 256  # of like lengths: a block of the longest stays holds 24 MB a feature group
NEVER = -1

# a point for what lies below the first cut or above the second; what is unknown earns none
QSOFA = {  # "<= 100" and ">= 22" as strict cuts
    "systolic_pressure": (np.nextafter(100.0, np.inf), np.inf),
    "respiratory_rate": (-np.inf, np.nextafter(22.0, -np.inf)),
}
SIRS = {
    "temperature": (36.0, 38.0),
    "heart_rate": (-np.inf, 90.0),
    "respiratory_rate": (-np.inf, 20.0),
    "wbc": (4.0, 12.0),
}
# the SOFA steps that need one value alone, doi:10.1007/BF01709751
SOFA_BELOW = {"platelets": (150, 100, 50, 20), "mean_arterial_pressure": (70,)}
SOFA_FROM = {"bilirubin_total": (1.2, 2, 6, 12), "creatinine": (1.2, 2, 3.5, 5)}


@dataclass(frozen=True)
class Chart:
    """A stay as numbers: `value` (n,) of `variable` (n,) enters at `hour_known` (n,).

    `hour` (R,) and `label` (R,) are its labelled hours; `facts` (5,) age in years, female, medical unit,
    surgical unit (0 or 1), hours in hospital before admission, NaN where unknown.
    """

    stay_id: str
    subject_id: str
    hour_known: Integers
    variable: Integers
    value: Floats
    facts: Floats
    hour: Integers
    label: npt.NDArray[np.int8]


def chart_of(labelled: LabelledStay) -> Chart:
    """The chart of a stay."""
    stay, table = labelled.stay, labelled.stay.observations
    position = {name: index for index, name in enumerate(VARIABLES)}
    variable = np.array([position.get(name, NEVER) for name in table["variable"]], dtype=np.int64)
    known, read = np.ceil(stay.hours(table["known_at"])).astype(np.int64), variable != NEVER
    unit, arrival = stay.care_unit, stay.hospital_admitted_at
    return Chart(
        stay_id=stay.stay_id,
        subject_id=stay.subject_id,
        hour_known=np.maximum(known[read], 1),
        variable=variable[read],
        value=table["value"].to_numpy(dtype=np.float64)[read],
        facts=np.array(
            [
                np.nan if stay.age_years is None else stay.age_years,
                np.nan if stay.sex is None else stay.sex == "female",
                np.nan if unit is None else unit == "MICU",
                np.nan if unit is None else unit == "SICU",
                np.nan if arrival is None else (stay.admitted_at - arrival) / GRID_STEP,
            ]
        ),
        hour=labelled.hour,
        label=labelled.label,
    )


def features(charts: Sequence[Chart]) -> tuple[tuple[str, ...], npt.NDArray[np.float32]]:
    """Names (F,) and features (N, F) of all labelled hours of `charts`, in their order; NaN is unknown."""
    starts = np.cumsum([0, *(len(chart.hour) for chart in charts)])
    order = sorted(range(len(charts)), key=lambda place: int(charts[place].hour[-1]))
    names: tuple[str, ...] = ()
    rows = np.empty((0, 0), dtype=np.float32)
    for first in range(0, len(order), STAYS_A_BLOCK):
        places = order[first : first + STAYS_A_BLOCK]
        columns = block_columns([charts[place] for place in places])
        if not names:
            names, rows = tuple(columns), np.empty((starts[-1], len(columns)), dtype=np.float32)
        block = np.stack(list(columns.values()), axis=-1)  # (S, T, F)
        for of_block, place in enumerate(places):
            rows[starts[place] : starts[place + 1]] = block[of_block, charts[place].hour - 1]
    return names, rows


def block_columns(charts: Sequence[Chart]) -> dict[str, npt.NDArray[np.float32]]:
    """Every feature of a block by its name, (S, T) each; hour h is index h - 1."""
    value = gridded(charts)
    seen = ~np.isnan(value)
    last = carried(value)
    columns = {f"last {name}": last[..., m] for m, name in enumerate(VARIABLES)}
    columns |= _charting(seen) | _changes(value, last) | _rolling(value[..., : len(VITALS)])
    columns |= _clinical({name: last[..., m] for m, name in enumerate(VARIABLES)}, charts)
    columns |= _statics(charts, value.shape[1])
    return {name: column.astype(np.float32) for name, column in columns.items()}


def gridded(charts: Sequence[Chart]) -> Floats:
    """The newest value of each variable in each hour, NaN where none came: (S, T, M)."""
    hours = max(int(chart.hour[-1]) for chart in charts)
    value = np.full((len(charts), hours, len(VARIABLES)), np.nan)
    for stay, chart in enumerate(charts):
        inside = chart.hour_known <= hours
        value[stay, chart.hour_known[inside] - 1, chart.variable[inside]] = chart.value[inside]
    return value


def carried(value: Floats) -> Floats:
    """The last value so far, NaN before the first: (S, T, M)."""
    return _at(value, last_seen(~np.isnan(value)))


def last_seen(seen: npt.NDArray[np.bool_]) -> Integers:
    """Index of the last hour with a value, `NEVER` before the first: (S, T, M)."""
    hour = np.arange(seen.shape[1])[None, :, None]
    return np.asarray(np.maximum.accumulate(np.where(seen, hour, NEVER), axis=1), dtype=np.int64)


def windowed(total: Floats, hours: int) -> Floats:
    """Sums over the last `hours` hours from running sums (S, T, M)."""
    sums = total.copy()
    sums[:, hours:] -= total[:, :-hours]
    return sums


def extreme(value: Floats, hours: int, smaller: bool) -> Floats:
    """Smallest or greatest value of the last `hours` hours, NaN without one: (S, T, M)."""
    pick = np.fmin if smaller else np.fmax
    found, covered = value.copy(), 1
    while covered < hours:
        step = min(covered, hours - covered)  # two overlapping windows make a longer one
        moved = pick(found[:, step:], found[:, :-step])
        found = np.concatenate([found[:, :step], moved], axis=1)
        covered += step
    return found


def _at(value: Floats, index: Integers) -> Floats:
    """`value` at hour `index`, NaN where that is `NEVER`: (S, T, M)."""
    return np.where(index == NEVER, np.nan, np.take_along_axis(value, np.maximum(index, 0), axis=1))


def _charting(seen: npt.NDArray[np.bool_]) -> dict[str, Floats]:
    """How often and how long ago each variable was measured: ordering a test is itself a sign."""
    index = last_seen(seen)
    hour = np.arange(seen.shape[1])[None, :, None]
    since = np.where(index == NEVER, np.nan, hour - index)
    total = np.cumsum(seen, axis=1, dtype=np.float64)
    day = windowed(total, 24)
    columns = {f"hours since {name}": since[..., m] for m, name in enumerate(VARIABLES)}
    columns |= {f"count {name}": total[..., m] for m, name in enumerate(VARIABLES)}
    first = len(VITALS)
    columns |= {f"count 24 h {name}": day[..., first + m] for m, name in enumerate(LABORATORY)}
    for hours in (1, *WINDOWS):
        recent = windowed(total, hours)
        columns[f"vitals in {hours} h"] = recent[..., :first].sum(axis=-1)
        columns[f"laboratory values in {hours} h"] = recent[..., first:].sum(axis=-1)
        columns[f"tests in {hours} h"] = (recent[..., first:] > 0).sum(axis=-1)
    columns["tests so far"] = (total[..., first:] > 0).sum(axis=-1)
    columns["hours since any test"] = np.nanmin(
        np.where(np.isnan(since[..., first:]), 1000.0, since[..., first:]), axis=-1
    )
    return columns


def _changes(value: Floats, last: Floats) -> dict[str, Floats]:
    """Change of the last value from the one before it and from the first."""
    seen = ~np.isnan(value)
    before = np.concatenate([np.full_like(last[:, :1], np.nan), last[:, :-1]], axis=1)
    previous = _at(before, last_seen(seen))
    first = _at(value, np.where(last_seen(seen) == NEVER, NEVER, np.argmax(seen, axis=1)[:, None]))
    return {f"change {name}": (last - previous)[..., m] for m, name in enumerate(VARIABLES)} | {
        f"change since first {name}": (last - first)[..., m] for m, name in enumerate(VARIABLES)
    }


def _rolling(value: Floats) -> dict[str, Floats]:
    """Mean, least, greatest and standard deviation of the vitals over the last hours."""
    seen = ~np.isnan(value)
    count = np.cumsum(seen, axis=1, dtype=np.float64)
    # centred by the stay's first value, so that sums of squares lose no digits
    centre = _at(value, np.where(count == 0, NEVER, np.argmax(seen, axis=1)[:, None]))
    centred = np.where(seen, value - centre, 0.0)
    sums, squares = np.cumsum(centred, axis=1), np.cumsum(centred**2, axis=1)
    columns: dict[str, Floats] = {}
    for hours in WINDOWS:
        with np.errstate(invalid="ignore", divide="ignore"):
            n = windowed(count, hours)
            mean = windowed(sums, hours) / n
            spread = np.sqrt(np.maximum(windowed(squares, hours) / n - mean**2, 0.0))
        least, greatest = extreme(value, hours, smaller=True), extreme(value, hours, smaller=False)
        figures = {"mean": mean + centre, "least": least, "greatest": greatest, "spread": spread}
        for figure, array in figures.items():
            for m, name in enumerate(VITALS):
                columns[f"{figure} {hours} h {name}"] = array[..., m]
    return columns


def _clinical(last: dict[str, Floats], charts: Sequence[Chart]) -> dict[str, Floats]:
    """What clinicians make of several values at once."""
    age = np.array([chart.facts[0] for chart in charts])[:, None]
    rate, systolic = last["heart_rate"], last["systolic_pressure"]
    with np.errstate(invalid="ignore", divide="ignore"):
        shock = rate / systolic
        columns = {
            "shock index": shock,
            "age shock index": age * shock,
            "modified shock index": rate / last["mean_arterial_pressure"],
            "pulse pressure": systolic - last["diastolic_pressure"],
            "saturation to FiO2": last["oxygen_saturation"] / last["fio2"],
            "bun to creatinine": last["bun"] / last["creatinine"],
            "lactate times shock index": last["lactate"] * shock,
        }
    return columns | {
        "qsofa points": _outside(last, QSOFA),
        "sirs points": _outside(last, SIRS),
        "sofa points": _steps(last),
    }


def _outside(last: dict[str, Floats], cuts: dict[str, tuple[float, float]]) -> Floats:
    """How many variables lie outside their cuts: (S, T)."""
    beyond = [(last[name] < low) | (last[name] > high) for name, (low, high) in cuts.items()]
    return np.asarray(np.sum(beyond, axis=0), dtype=np.float64)


def _steps(last: dict[str, Floats]) -> Floats:
    """Points of the SOFA steps in `SOFA_BELOW` and `SOFA_FROM`: (S, T)."""
    reached = [last[name] < cut for name, cuts in SOFA_BELOW.items() for cut in cuts]
    reached += [last[name] >= cut for name, cuts in SOFA_FROM.items() for cut in cuts]
    return np.asarray(np.sum(reached, axis=0), dtype=np.float64)


def _statics(charts: Sequence[Chart], hours: int) -> dict[str, Floats]:
    """Who the patient is, and how long the stay has lasted."""
    names = ("age", "female", "medical unit", "surgical unit", "hours in hospital before")
    facts = np.stack([chart.facts for chart in charts])  # (S, 5)
    hour = np.broadcast_to(np.arange(1.0, hours + 1), (len(charts), hours))
    columns = {name: np.broadcast_to(facts[:, [place]], hour.shape) for place, name in enumerate(names)}
    return columns | {"hour": hour, "hours in hospital": hour + facts[:, [4]]}
