"""SOFA, hour by hour: six organ systems of 0 to 4 points, each the worst of the last 24 h.

    total[h] = sum_c components[h, c],    a component that was not measured counts 0 and is reported as missing

| | 1 | 2 | 3 | 4 |
|---|---|---|---|---|
| respiration, PaO2/FiO2 mmHg | < 400 | < 300 | < 200, supported | < 100, supported |
| coagulation, platelets 10^9/L | < 150 | < 100 | < 50 | < 20 |
| liver, bilirubin mg/dL | >= 1.2 | >= 2.0 | >= 6.0 | >= 12.0 |
| cardiovascular, ug/kg/min | MAP < 70 | dopamine <= 5, any dobutamine | dopamine > 5, (nor)epinephrine <= 0.1 | dopamine > 15, (nor)epinephrine > 0.1 |
| nervous, Glasgow coma scale | 13-14 | 10-12 | 6-9 | < 6 |
| renal, creatinine mg/dL or urine mL/day | >= 1.2 | >= 2.0 | >= 3.5 or < 500 | >= 5.0 or < 200 |

Sources: Vincent et al. 1996, doi:10.1007/BF01709751, as printed in Singer et al. 2016,
doi:10.1001/jama.2016.0287. The second definition is in `pipelines.label.sofa2`.
"""  # noqa: E501  the table is as wide as it is

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.clinical.interventions import InterventionKind
from models.clinical.stay import Stay
from pipelines.label import sofa2
from pipelines.label.hours import (
    Intervals,
    Series,
    StayHours,
    Values,
    hourly_worst,
    in_force,
    last_24_hours,
    read,
)
from pipelines.label.points import (
    above,
    arterial_pressure,
    at_least,
    below,
    coma_scale,
    infused,
    oxygenation,
    supported,
    urine,
)

SofaDefinition = Literal["sofa", "sofa2"]

COMPONENTS = ("respiration", "coagulation", "liver", "cardiovascular", "nervous", "renal")


@dataclass(frozen=True)
class HourlySofa:
    """The SOFA of every hour of a stay.

    `hour` (T,) is 0, 1, …; hour h is [admission + h, admission + h + 1). `components` (T, 6) are the worst
    points of hours h - 23 … h in the order of `COMPONENTS`, NaN where nothing was measured in them; `missing`
    (T, 6) says so. `total` (T,) is their sum, a missing component counting 0.
    """

    hour: npt.NDArray[np.int64]
    total: Values
    components: Values
    missing: npt.NDArray[np.bool_]
    names: tuple[str, ...] = COMPONENTS

    @property
    def never_measured(self) -> tuple[str, ...]:
        """The components without a value in any hour."""
        return tuple(name for name, absent in zip(self.names, self.missing.T, strict=True) if absent.all())

    def filled(self, missing: Literal["zero", "unknown"], *, backwards: bool = True) -> Values:
        """The components (T, 6) with a number in every hour.

        `zero`: a missing component is 0, so a first measurement of 2 points is a rise of 2. `unknown`: it
        stays at its last measurement and, before the first, with `backwards`, at the first one: being
        measured is then no rise. What was never measured is 0.
        """
        if missing == "zero":
            return np.nan_to_num(self.components, nan=0.0)
        held = _carried(self.components)
        if backwards:
            held = _carried(held[::-1])[::-1]
        return np.nan_to_num(held, nan=0.0)


def hourly(stay: Stay, *, definition: SofaDefinition = "sofa") -> HourlySofa:
    """The SOFA of every hour of the stay, by the definition of 1996 (`sofa`) or of 2025 (`sofa2`).

    It looks at the whole stay by the time of measurement, so it is a label and no feature. A censored result
    scores as its limit. Raises InvalidInput for an unknown definition.
    """
    if definition not in get_args(SofaDefinition):
        known = ", ".join(get_args(SofaDefinition))
        raise InvalidInput(
            f"SOFA definition {definition!r} is unknown; expected one of {known}",
            value=definition,
            bound=known,
        )
    hours = read(stay)
    scorers = _SCORERS if definition == "sofa" else sofa2.SCORERS
    components = np.column_stack([scorers[name](hours) for name in COMPONENTS])
    missing = np.isnan(components)
    total = np.nansum(components, axis=1)
    return HourlySofa(np.arange(hours.count, dtype=np.int64), total, components, missing)


def respiration(stay: StayHours) -> Values:
    """Points (T,) of PaO2 over the FiO2 in force; without support at most 2."""
    gas = stay.of("pao2")
    points = below(oxygenation(stay, gas), (400, 300, 200, 100))
    limited = np.where(supported(stay, gas.time), points, np.minimum(points, 2))
    return last_24_hours(hourly_worst(stay.count, gas.time, limited))


def coagulation(stay: StayHours) -> Values:
    """Points (T,) of platelets."""
    count = stay.of("platelets")
    return last_24_hours(hourly_worst(stay.count, count.time, below(count.value, (150, 100, 50, 20))))


def liver(stay: StayHours) -> Values:
    """Points (T,) of total bilirubin."""
    level = stay.of("bilirubin_total")
    return last_24_hours(hourly_worst(stay.count, level.time, at_least(level.value, (1.2, 2, 6, 12))))


def cardiovascular(stay: StayHours) -> Values:
    """Points (T,) of mean arterial pressure and of vasopressors that ran for at least an hour."""
    pressure = arterial_pressure(stay)
    worst = hourly_worst(stay.count, pressure.time, below(pressure.value, (70,)))
    for kind, points in _VASOPRESSORS.items():
        given = stay.given(kind)
        infused(worst, given, _dosed(given, *points))
    return last_24_hours(worst)


def nervous(stay: StayHours) -> Values:
    """Points (T,) of the Glasgow coma scale; with a tube, of the last before it."""
    scale = coma_scale(stay, stay.given(InterventionKind.INVASIVE_VENTILATION))
    return last_24_hours(hourly_worst(stay.count, scale.time, below(scale.value, (15, 13, 10, 6))))


def renal(stay: StayHours) -> Values:
    """Points (T,) of creatinine, or of the urine of a full 24 h."""
    creatinine = stay.of("creatinine")
    points = at_least(creatinine.value, (1.2, 2, 3.5, 5))
    volume = urine(stay, 24)
    oliguria = below(volume.value, (500, 200))
    by_urine = Series(volume.time, np.where(oliguria > 0, oliguria + 2, oliguria))
    worst = last_24_hours(hourly_worst(stay.count, creatinine.time, points))
    return np.fmax(worst, in_force(stay.count, by_urine))


# least points of an agent, at any rate, and the rates [ug/kg/min] above which it earns one more
_VASOPRESSORS: dict[InterventionKind, tuple[int, tuple[float, ...]]] = {
    InterventionKind.DOBUTAMINE: (2, ()),
    InterventionKind.DOPAMINE: (2, (5, 15)),
    InterventionKind.EPINEPHRINE: (3, (0.1,)),
    InterventionKind.NOREPINEPHRINE: (3, (0.1,)),
}

_SCORERS: Mapping[str, Callable[[StayHours], Values]] = {
    "respiration": respiration,
    "coagulation": coagulation,
    "liver": liver,
    "cardiovascular": cardiovascular,
    "nervous": nervous,
    "renal": renal,
}


def _dosed(given: Intervals, least: int, limits: tuple[float, ...]) -> Values:
    """Points (n,) of an agent's rates; an unknown rate earns the least, a rate of 0 nothing."""
    rate = np.nan_to_num(given.rate, nan=np.finfo(np.float64).tiny)
    return np.where(rate > 0, least + above(rate, limits), 0.0)


def _carried(components: Values) -> Values:
    """Each column (T,) with its last number carried forward; NaN before the first."""
    index = np.where(np.isnan(components), 0, np.arange(len(components))[:, None])
    return np.take_along_axis(components, np.maximum.accumulate(index, axis=0), axis=0)
