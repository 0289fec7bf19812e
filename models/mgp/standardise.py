"""From canonical units to the scale on which the process has mean 0 and variance about 1, and back.

    x = clip((g(v) - location) / scale, -5, 5)      g(v) = log(v + offset) for a skewed variable, else v

Location and scale are median and interquartile range: a robust fit, because charted values hold artefacts.
A variable with too few values in training keeps its normal range as scale and is marked as not learnt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models.clinical.variables import CATALOGUE

Array = npt.NDArray[np.float64]

# what the shipped network was trained on; a stay's other variables are not read
VARIABLES = (
    *("heart_rate", "oxygen_saturation", "temperature", "systolic_pressure", "mean_arterial_pressure"),
    *("diastolic_pressure", "respiratory_rate", "end_tidal_co2", "base_excess", "bicarbonate", "fio2", "ph"),
    *("paco2", "arterial_oxygen_saturation", "ast", "bun", "alkaline_phosphatase", "calcium", "chloride"),
    *("creatinine", "bilirubin_direct", "glucose", "lactate", "magnesium", "phosphate", "potassium"),
    *("bilirubin_total", "troponin_i", "hematocrit", "hemoglobin", "ptt", "wbc", "fibrinogen", "platelets"),
)
# what a bed's monitor and a nurse's round give: the first seven
VITAL_SIGNS = VARIABLES[:7]
# right-skewed by orders of magnitude, so that a ratio means more than a difference
SKEWED = frozenset(
    {
        *("ast", "alkaline_phosphatase", "bilirubin_direct", "bilirubin_total", "troponin_i"),
        *("bun", "creatinine", "glucose", "lactate", "ptt", "wbc", "fibrinogen", "platelets"),
    }
)
LIMIT = 5.0  # beyond five robust deviations a value says "extreme", and would only drag the process
FEWEST_VALUES = 100  # below this neither location nor covariance of a variable can be learnt
_NORMAL_QUARTILES = 1.349  # interquartile range of the standard normal distribution


@dataclass(frozen=True)
class Standardisation:
    """`location`, `scale`, `offset` (M,), NaN offset where no logarithm is taken; `learnt` (M,) 0 or 1."""

    location: Array
    scale: Array
    offset: Array
    learnt: Array

    @classmethod
    def taken_from(cls, arrays: dict[str, Any]) -> Self:
        """Out of what a model's file holds, arrays or tensors by name; `arrays` keeps the rest."""
        return cls(*(np.asarray(arrays.pop(f"standardisation.{column.name}")) for column in fields(cls)))

    def equals(self, other: Standardisation) -> bool:
        """Whether `other` makes the same of every value."""
        mine, theirs = self.arrays(), other.arrays()
        return all(np.array_equal(mine[name], theirs[name], equal_nan=True) for name in mine)

    def arrays(self) -> dict[str, Array]:
        """Every column by its name in a model's file."""
        return {f"standardisation.{name}": column for name, column in asdict(self).items()}

    def forward(self, variable: npt.NDArray[np.int64], value: Array) -> Array:
        """Values (n,) of variables (n,) in canonical units to the standardised scale."""
        offset = self.offset[variable]
        logarithmic = ~np.isnan(offset)
        moved = value.copy()
        moved[logarithmic] = np.log(value[logarithmic] + offset[logarithmic])
        standardised = (moved - self.location[variable]) / self.scale[variable]
        return np.asarray(np.clip(standardised, -LIMIT, LIMIT))

    def backward(self, variable: int, standardised: Array) -> Array:
        """Standardised values (n,) of one variable in its canonical unit."""
        moved = standardised * self.scale[variable] + self.location[variable]
        offset = self.offset[variable]
        original = moved if np.isnan(offset) else np.maximum(np.exp(moved) - offset, 0.0)
        return np.asarray(original)


def fit_standardisation(values: Mapping[str, Array]) -> Standardisation:
    """Learn from every training value of each variable, in canonical units."""
    rows = [_fit_one(name, np.asarray(values.get(name, ()), dtype=np.float64)) for name in VARIABLES]
    location, scale, offset, learnt = np.array(rows, dtype=np.float64).T
    return Standardisation(location, scale, offset, learnt)


def _fit_one(name: str, value: Array) -> tuple[float, float, float, float]:
    learnt = len(value) >= FEWEST_VALUES
    if not learnt:
        value = np.linspace(*CATALOGUE[name].normal, 5)
    # a tenth of the median keeps log away from -inf at a charted 0, and hardly bends it elsewhere
    offset = 0.1 * max(float(np.median(value)), 1e-3) if name in SKEWED else float("nan")
    moved = np.log(value + offset) if name in SKEWED else value
    low, middle, high = np.percentile(moved, [25, 50, 75])
    # fio2 is charted at a few round numbers: where the quartiles meet, the standard deviation stands in
    spread = (high - low) / _NORMAL_QUARTILES or float(np.std(moved)) or 1.0
    return float(middle), float(spread), offset, float(learnt)
