"""What a grid hour knows besides the process: what was measured, when, and who the patient is.

In intensive care, ordering a test is itself a sign, so whether and how long ago a variable was measured is
told to the network in numbers of its own.

    of every variable      measured in the last hour, recency exp(-hours since / 12)
    of the patient         age, sex, hours in hospital before the unit, kind of unit
    clock                  hours in the unit

Tried and left out, because validation subjects were ranked worse with them (docs/decisions/0015): counts of
measurements, last values and their changes, extremes of the last hours, piecewise linear clocks.

    T  grid hours     M  variables     C  channels
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.clinical.stay import Stay
from models.mgp.encoding import EncodedStay
from models.mgp.standardise import VARIABLES

Floats = npt.NDArray[np.float64]
Channels = npt.NDArray[np.float32]

RECENCY_HOURS = 12.0  # a reading fades to a third in half a day, about one laboratory round
LONGEST_HOURS = 336.0  # two weeks, the longest training stay: beyond it the clock channels stand still
TYPICAL_AGE = 62.0  # years; adults in intensive care

PER_VARIABLE, OF_PATIENT = 2, 11
CHANNELS = PER_VARIABLE * len(VARIABLES) + OF_PATIENT


def channels(stay: Stay, encoded: EncodedStay) -> Channels:
    """Every grid hour's channels from what was known by it, (T, CHANNELS): of every variable whether it was
    measured in the hour, of every variable its recency, of the patient and the clock.
    """
    since = encoded.since_hours
    parts = [since < 1.0, np.exp(-since / RECENCY_HOURS), _patient(stay, encoded.hours)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def of_variable(variable: int) -> list[int]:
    """The channels, in [0, CHANNELS), that are made of one variable's measurements alone."""
    return [variable, len(VARIABLES) + variable]


def _patient(stay: Stay, hours: int) -> Floats:
    """Who the patient is, repeated, and how long the stay has lasted: (T, 11)."""
    unit = (stay.care_unit or "").casefold()
    fixed = [
        0.0 if stay.age_years is None else (stay.age_years - TYPICAL_AGE) / 16.0,
        float(stay.age_years is None),
        float(stay.sex == "female"),
        float(stay.sex == "male"),
        _log_hours_in_hospital(stay) / 3.0,
        float(stay.hospital_admitted_at is None),
        float("medical" in unit or "micu" in unit),
        float("surgical" in unit or "sicu" in unit),
    ]
    hour = np.minimum(np.arange(1, hours + 1, dtype=np.float64), LONGEST_HOURS)
    clock = np.stack([np.log(hour) / 3.0, hour / 100.0, np.exp(-hour / 4.0)], axis=1)
    return np.concatenate([np.tile(fixed, (hours, 1)), clock], axis=1)


def _log_hours_in_hospital(stay: Stay) -> float:
    """log(1 + hours in hospital before the unit); a transfer charted after admission counts as none."""
    if stay.hospital_admitted_at is None:
        return 0.0
    waited = (stay.admitted_at - stay.hospital_admitted_at).total_seconds() / 3600.0
    return float(np.log1p(max(waited, 0.0)))
