"""From severity to the true value of every variable over time.

    value_m(t) = centre_m + person_m + circadian_m(t) + sepsis_m reaction_m s(t - delay_m) + within_m z_m(t)

z is an Ornstein-Uhlenbeck process of unit variance: a share of it comes from factors that variables have in
common (stress, lungs, volume), the rest is the variable's own. `person` is correlated by the same loadings.
What physiology fixes is derived, not drawn: the pressures from mean and pulse pressure, pH from bicarbonate
and carbon dioxide (Henderson-Hasselbalch), base excess (Van Slyke), hematocrit from hemoglobin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from pipelines.simulate.course import Course
from pipelines.simulate.physiology import FACTOR_PERSISTENCE_HOURS, FACTORS, QUANTITIES, Quantity

Array = npt.NDArray[np.float64]

STEP_HOURS = 1 / 12  # five minutes: shorter than the shortest interval between two charted rounds
PEAK_HOUR_OF_DAY = 18.0


@dataclass(frozen=True)
class Body:
    """One person's true values: `values` (M, G) at `hour` (G,) since admission, on each quantity's scale."""

    hour: Array
    values: Array
    severity: Array

    def quantity(self, name: str, hour: Array) -> Array:
        """The true values (T,) of one latent quantity at `hour` (T,), in its canonical unit."""
        row = list(QUANTITIES).index(name)
        value = np.interp(hour, self.hour, self.values[row])
        natural: Array = np.exp(value) if QUANTITIES[name].logarithmic else value
        return natural

    def severity_at(self, hour: float) -> float:
        """How ill the person is at `hour`."""
        return float(np.interp(hour, self.hour, self.severity))


def draw_body(random: np.random.Generator, course: Course, admitted_hour_of_day: float) -> Body:
    """A person and the noise around them, over the length of the course."""
    quantities = tuple(QUANTITIES.values())
    steps = int(np.ceil(course.length_hours / STEP_HOURS)) + 1
    hour: Array = np.arange(steps, dtype=np.float64) * STEP_HOURS
    person = _mix(random.standard_normal((1, len(quantities) + len(FACTORS))))[0]
    reaction = np.exp(0.25 * random.standard_normal(len(quantities)))  # not everybody reacts alike
    reaction[list(QUANTITIES).index("temperature")] *= _fever(random)
    noise = _mix(_ornstein_uhlenbeck(random, steps))
    rhythm = np.cos(2 * np.pi * (hour + admitted_hour_of_day - PEAK_HOUR_OF_DAY) / 24)
    values = np.empty((len(quantities), steps))
    for row, quantity in enumerate(quantities):
        ill = quantity.sepsis * reaction[row] * course.severity(hour - quantity.delay_hours)
        steady = _centre(quantity) + quantity.between * person[row] + quantity.circadian * rhythm
        values[row] = steady + ill + quantity.within * noise[:, row]
    return Body(hour, values, course.severity(hour))


def _fever(random: np.random.Generator) -> float:
    """Most septic people have fever, one in seven cools down (Young 2012, doi:10.1007/s00134-012-2478-3)."""
    return -0.8 if random.random() < 1 / 7 else 1.0


def _centre(quantity: Quantity) -> float:
    return float(np.log(quantity.centre)) if quantity.logarithmic else quantity.centre


def _ornstein_uhlenbeck(random: np.random.Generator, steps: int) -> Array:
    """Unit-variance noise (G, M + F), exact on the grid: z_k = phi z_(k-1) + sqrt(1 - phi^2) e_k."""
    hours = [quantity.persistence_hours for quantity in QUANTITIES.values()]
    phi = np.exp(-STEP_HOURS / np.array([*hours, *FACTOR_PERSISTENCE_HOURS]))
    noise = random.standard_normal((steps, len(phi)))
    noise[1:] *= np.sqrt(1 - phi**2)
    for step in range(1, steps):
        noise[step] += phi * noise[step - 1]
    return noise


def _mix(own_and_shared: Array) -> Array:
    """(G, M + F) independent -> (G, M) correlated, each of unit variance."""
    loading, own = _loadings()
    variables = len(own)
    mixed: Array = own_and_shared[:, :variables] * own
    for factor in range(loading.shape[1]):  # not a matrix product: its rounding differs between processors
        mixed = mixed + own_and_shared[:, variables + factor, None] * loading[:, factor]
    return mixed


@cache
def _loadings() -> tuple[Array, Array]:
    loading = np.array([[getattr(row, factor) for factor in FACTORS] for row in QUANTITIES.values()])
    return loading, np.sqrt(1 - np.sum(loading**2, axis=1))
