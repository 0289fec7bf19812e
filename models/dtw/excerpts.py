"""The last hours of a stay as a series that can be compared, and what of it is compared.

Each hour of an *excerpt* holds what was known at it: of each variable the value measured last, carried
forward, with a weight that falls with its age

    w = f / (f + age)     f the age at which a value counts half

so that an excerpt never changes afterwards, and beside the variables the hour of stay and who the patient is.
Hours before admission and before a first measurement weigh 0. An excerpt is what is remembered and shown.

What is compared is made of it (`compared`): each value times its weight, which is to draw it towards the
population's mean the older it is, and the weight itself as a series of its own, because in intensive care
whether and when something was measured tells as much as what was found.

    T  grid hours     V  variables     P  rows of CONTEXT     H  hours of an excerpt     R = 2 V + P
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.dtw.series import References, Series

Doubles = npt.NDArray[np.float64]

CONTEXT = ("hour_of_stay", "age", "sex", "hours_in_hospital", "kind_of_unit")


@dataclass(frozen=True, eq=False)
class CarriedCourse:
    """Of each grid hour the values measured last, standardised, and their age in hours, infinite where there
    is none: (T, V) each; `patient` (P - 1,), the rows of CONTEXT after the first.
    """

    value: npt.NDArray[np.float32]
    age_hours: Doubles
    patient: Doubles
    variables: tuple[str, ...]

    def excerpt(self, last: int, hours: int, fading_hours: float) -> Series:
        """The `hours` grid hours that end with hour number `last`, counted from 1: V + P rows."""
        first, many = max(last - hours, 0), len(self.variables)
        value, weight = np.zeros((many + len(CONTEXT), hours)), np.ones((many + len(CONTEXT), hours))
        age = self.age_hours[first:last].T  # (V, H or fewer)
        known, place = np.isfinite(age), hours - age.shape[1]
        value[:many, place:] = np.where(known, self.value[first:last].T, 0.0)
        weight[:many, :place] = 0.0
        weight[:many, place:] = np.where(known, fading_hours / (fading_hours + np.maximum(age, 0.0)), 0.0)
        value[many] = np.log(np.maximum(np.arange(last - hours, last) + 1, 1)) / 3.0
        value[many + 1 :] = self.patient[:, np.newaxis]
        return Series(value, weight, (*self.variables, *CONTEXT))


def compared(excerpt: Series) -> Series:
    """What is compared of an excerpt: R rows that all count alike."""
    weights = np.ones_like(excerpt.values) if excerpt.weights is None else excerpt.weights
    rows = np.concatenate([excerpt.values * weights, weights[: -len(CONTEXT)]])
    return Series(rows, None, compared_rows(excerpt.variables))


def scaled(excerpt: Series, metric: Doubles) -> Series:
    """The same on the scale of a metric (R,), so that all rows on one path cost what each should."""
    rows = compared(excerpt)
    return Series(rows.values * np.sqrt(metric)[:, np.newaxis], None, rows.variables)


def compared_references(excerpts: References) -> References:
    """The same of many."""
    weights = np.ones_like(excerpts.values) if excerpts.weights is None else excerpts.weights
    rows = np.concatenate([excerpts.values * weights, weights[:, : -len(CONTEXT)]], axis=1)
    return References(rows, None, excerpts.lengths, excerpts.members, compared_rows(excerpts.variables))


def compared_rows(rows: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the R rows that are compared, from the V + P of an excerpt."""
    return (*rows, *(measured(name) for name in rows[: -len(CONTEXT)]))


def measured(variable: str) -> str:
    """The name of the row that says when a variable was measured."""
    return f"measured {variable}"
