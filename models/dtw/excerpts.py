"""The last hours of a stay as a series that can be compared.

Each hour holds what was known at it: the value measured last, carried forward, with a weight that falls with
its age

    w = f / (f + age)     f the age at which a value counts half

so that an excerpt never changes afterwards. Hours before admission and before a first measurement are
unknown.

    T  grid hours     V  variables     H  hours of an excerpt
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.dtw.series import Series

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CarriedCourse:
    """Of each grid hour the values measured last, standardised, and their age in hours, infinite where there
    is none: (T, V) each.
    """

    value: npt.NDArray[np.float32]
    age_hours: Doubles
    variables: tuple[str, ...]

    @property
    def hours(self) -> int:
        """T."""
        return len(self.value)

    def excerpt(self, last: int, hours: int, fading_hours: float) -> Series:
        """The `hours` grid hours that end with hour number `last`, counted from 1."""
        first = max(last - hours, 0)
        value, weight = np.zeros((2, len(self.variables), hours))
        age = self.age_hours[first:last].T  # (V, H or fewer)
        known = np.isfinite(age)
        value[:, hours - age.shape[1] :] = np.where(known, self.value[first:last].T, 0.0)
        weight[:, hours - age.shape[1] :] = np.where(
            known, fading_hours / (fading_hours + np.maximum(age, 0.0)), 0.0
        )
        return Series(value, weight, self.variables)
