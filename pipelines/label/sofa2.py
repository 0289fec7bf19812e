"""SOFA-2, the definition of 2025, behind `pipelines.label.sofa.hourly(stay, definition="sofa2")`.

| | 1 | 2 | 3 | 4 |
|---|---|---|---|---|
| respiration, PaO2/FiO2 mmHg | <= 300 | <= 225 | <= 150, supported | <= 75, supported, or ECMO |
| or SpO2/FiO2, SpO2 < 98 % | <= 300 | <= 250 | <= 200, supported | <= 120, supported |
| coagulation, platelets 10^9/L | <= 150 | <= 100 | <= 80 | <= 50 |
| liver, bilirubin mg/dL | > 1.2 | > 3.0 | > 6.0 | > 12.0 |
| cardiovascular, ug/kg/min | MAP < 70 | (nor)epinephrine <= 0.2 or any other | <= 0.4, or low and another | > 0.4, or medium and another, or a device |
| nervous, Glasgow coma scale | 13-14 | 9-12 | 6-8 | 3-5 |
| renal, creatinine mg/dL | > 1.2 | > 2.0 | > 3.5 | renal replacement, or its criteria |
| or urine mL/kg/h | < 0.5 for 6 h | < 0.5 for 12 h | < 0.3 for 24 h, none for 12 h | |

Dopamine alone: <= 20 is 2, <= 40 is 3, more is 4. Criteria of renal replacement: creatinine > 1.2 and
potassium >= 6.0 mmol/L, or pH <= 7.2 with bicarbonate <= 12 mmol/L.

Source: Ranzani et al. 2025, doi:10.1001/jama.2025.20516; Moreno et al. 2025,
doi:10.1001/jamanetworkopen.2025.45040. The article's table could not be read for this file: the thresholds
are those of open implementations of it, which differ in places (coma bands, bilirubin), so check them against
the article before they carry a result. Not scored, because no source records them: drugs against delirium (1 point), the motor
response in place of the whole coma scale, and the limits for patients to whom vasopressors are not given.
"""  # noqa: E501  the table is as wide as it is

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from models.clinical.interventions import InterventionKind
from pipelines.label.hours import (
    Intervals,
    Series,
    StayHours,
    Values,
    hourly_worst,
    in_force,
    last_24_hours,
    mark,
)
from pipelines.label.points import (
    above,
    arterial_pressure,
    at_most,
    below,
    coma_scale,
    infused,
    oxygenation,
    supported,
    urine,
)

SATURATION_LIMIT = 98.0  # %; above it the saturation no longer follows the oxygen pressure
HIGH_POTASSIUM, ACID_PH, ACID_BICARBONATE = 6.0, 7.2, 12.0
CATECHOLAMINES = (InterventionKind.NOREPINEPHRINE, InterventionKind.EPINEPHRINE)
OTHER_AGENTS = (
    InterventionKind.DOBUTAMINE,
    InterventionKind.PHENYLEPHRINE,
    InterventionKind.VASOPRESSIN,
    InterventionKind.OTHER_VASOPRESSOR,
)


def respiration(stay: StayHours) -> Values:
    """Points (T,) of PaO2/FiO2, of SpO2/FiO2 in hours without one, and of ECMO."""
    gas, saturation = stay.of("pao2"), stay.of("oxygen_saturation")
    by_gas = _oxygenation(stay, gas, (300, 225, 150, 75))
    low = saturation.value < SATURATION_LIMIT
    by_saturation = _oxygenation(
        stay, Series(saturation.time[low], saturation.value[low]), (300, 250, 200, 120)
    )
    points = np.where(np.isnan(by_gas), by_saturation, by_gas)
    membrane = np.full(stay.count, np.nan)
    devices = stay.given(InterventionKind.MECHANICAL_CIRCULATION)
    ecmo = devices.chosen(np.array(["ecmo" in agent.lower() for agent in devices.agent], dtype=np.bool_))
    mark(membrane, ecmo.start, ecmo.end, 4.0)
    return np.fmax(points, last_24_hours(membrane))


def coagulation(stay: StayHours) -> Values:
    """Points (T,) of platelets."""
    count = stay.of("platelets")
    return last_24_hours(hourly_worst(stay.count, count.time, at_most(count.value, (150, 100, 80, 50))))


def liver(stay: StayHours) -> Values:
    """Points (T,) of total bilirubin."""
    level = stay.of("bilirubin_total")
    return last_24_hours(hourly_worst(stay.count, level.time, above(level.value, (1.2, 3, 6, 12))))


def cardiovascular(stay: StayHours) -> Values:
    """Points (T,) of mean arterial pressure, of what was infused for at least an hour, and of devices."""
    pressure = arterial_pressure(stay)
    worst = hourly_worst(stay.count, pressure.time, below(pressure.value, (70,)))
    segments = _segments(stay)
    dose = sum((_rate(stay.given(kind), segments) for kind in CATECHOLAMINES), np.zeros(len(segments.start)))
    dopamine = _rate(stay.given(InterventionKind.DOPAMINE), segments)
    other = np.any([_rate(stay.given(kind), segments) > 0 for kind in OTHER_AGENTS], axis=0)
    with_dose = 2 + above(dose, (0.2, 0.4)) + (other | (dopamine > 0))
    alone = np.where(other | (dopamine > 0), 2, 0)
    dopamine_alone = 2 + above(dopamine, (20, 40))
    without = np.where((dopamine > 0) & ~other, dopamine_alone, alone)
    infused(worst, segments, np.where(dose > 0, np.minimum(with_dose, 4), without))
    devices = stay.given(InterventionKind.MECHANICAL_CIRCULATION)
    # a veno-venous membrane oxygenates and supports no circulation
    pumps = devices.chosen(np.array(["vv" not in agent.lower() for agent in devices.agent], dtype=np.bool_))
    mark(worst, pumps.start, pumps.end, 4.0)
    return last_24_hours(worst)


def nervous(stay: StayHours) -> Values:
    """Points (T,) of the Glasgow coma scale; with a tube or sedated, of the last before it."""
    kinds = (InterventionKind.INVASIVE_VENTILATION, InterventionKind.SEDATION)
    scale = coma_scale(stay, _joined([stay.given(kind) for kind in kinds]))
    return last_24_hours(hourly_worst(stay.count, scale.time, below(scale.value, (15, 13, 9, 6))))


def renal(stay: StayHours) -> Values:
    """Points (T,) of creatinine, of urine by body weight, of renal replacement and of its criteria."""
    creatinine = stay.of("creatinine")
    points = last_24_hours(hourly_worst(stay.count, creatinine.time, above(creatinine.value, (1.2, 2, 3.5))))
    replaced = np.full(stay.count, np.nan)
    given = stay.given(InterventionKind.RENAL_REPLACEMENT)
    mark(replaced, given.start, given.end, 4.0)
    points = np.where((points >= 1) & _deranged(stay), 4.0, points)
    return np.fmax(np.fmax(points, last_24_hours(replaced)), _oliguria(stay))


SCORERS: Mapping[str, Callable[[StayHours], Values]] = {
    "respiration": respiration,
    "coagulation": coagulation,
    "liver": liver,
    "cardiovascular": cardiovascular,
    "nervous": nervous,
    "renal": renal,
}


def _oxygenation(stay: StayHours, measured: Series, limits: tuple[float, ...]) -> Values:
    points = at_most(oxygenation(stay, measured), limits)
    limited = np.where(supported(stay, measured.time), points, np.minimum(points, 2))
    return last_24_hours(hourly_worst(stay.count, measured.time, limited))


def _segments(stay: StayHours) -> Intervals:
    """The stretches of time in which no vasopressor changes its rate."""
    kinds = (*CATECHOLAMINES, InterventionKind.DOPAMINE, *OTHER_AGENTS)
    given = [stay.given(kind) for kind in kinds]
    edges = np.unique(np.concatenate([part for each in given for part in (each.start, each.end)]))
    start, end = edges[:-1], edges[1:]
    return Intervals(start, end, np.full(len(start), np.nan), np.full(len(start), "", dtype=object))


def _rate(given: Intervals, segments: Intervals) -> Values:
    """The highest rate of an agent in each segment (n,), 0 where it does not run."""
    rate = np.nan_to_num(given.rate, nan=np.finfo(np.float64).tiny)
    highest = np.zeros(len(segments.start))
    first = np.searchsorted(segments.start, given.start)
    last = np.searchsorted(segments.end, given.end, side="right")
    for low, high, dose in zip(first.tolist(), last.tolist(), rate.tolist(), strict=True):
        highest[low:high] = np.maximum(highest[low:high], dose)
    return highest


def _joined(parts: list[Intervals]) -> Intervals:
    return Intervals(
        np.concatenate([part.start for part in parts]),
        np.concatenate([part.end for part in parts]),
        np.concatenate([part.rate for part in parts]),
        np.concatenate([part.agent for part in parts]),
    )


def _deranged(stay: StayHours) -> npt.NDArray[np.bool_]:
    """Whether (T,) potassium, or pH and bicarbonate, of the last 24 h ask for renal replacement."""

    def worst(name: str, sign: float) -> Values:
        series = stay.of(name)
        highest: Values = sign * last_24_hours(hourly_worst(stay.count, series.time, sign * series.value))
        return highest

    acid = (worst("ph", -1) <= ACID_PH) & (worst("bicarbonate", -1) <= ACID_BICARBONATE)
    return np.asarray((worst("potassium", 1) >= HIGH_POTASSIUM) | acid)


def _oliguria(stay: StayHours) -> Values:
    """Points (T,) of urine by the first body weight charted; NaN where either is missing."""
    weight = stay.of("body_weight")
    if not len(weight.value):
        return np.full(stay.count, np.nan)
    points = np.full(stay.count, np.nan)
    for window, limit, earned in ((6, 0.5, 1.0), (12, 0.5, 2.0), (24, 0.3, 3.0)):
        volume = urine(stay, window)
        low = np.where(volume.value / window / weight.value[0] < limit, earned, 0.0)
        known = Series(volume.time, np.where(np.isnan(volume.value), np.nan, low))
        points = np.fmax(points, in_force(stay.count, known))
    volume = urine(stay, 12)
    none = Series(volume.time, np.where(volume.value == 0, 3.0, np.nan))
    worst: Values = np.fmax(points, in_force(stay.count, none))
    return worst
