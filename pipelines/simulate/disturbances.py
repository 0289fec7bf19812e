"""What goes wrong at a bed: spikes no body can have, probes that fell off, silent monitors, spoiled samples.

A spike lies outside the plausible range and must be caught by the quarantine. A probe that fell off gives
plausible nonsense, which nothing but a model's robustness catches: those readings carry their artefact's
name in the raw form and go in as observations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from models.clinical.variables import Kind, variable

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DisturbanceConfig:
    """How often things go wrong. Rates are per hour of a stay; (low, high) bound a uniform draw."""

    spike_share: float = 0.004  # of the readings that have an entry in SPIKES
    probe_off_rate: float = 0.01
    probe_off_hours: tuple[float, float] = (0.2, 0.8)
    silence_rate: float = 0.006
    silence_hours: tuple[float, float] = (1.0, 4.0)
    spoiled_share: float = 0.004  # of laboratory readings
    troponin_limit: float = 0.3  # ng/mL, the smallest value that set A reports
    mixed_up_share: float = 0.006  # of laboratory results, for a while: somebody else's sample
    noticed_hours: tuple[float, float] = (0.4, 3.0)
    withdrawn_share: float = 0.4  # of the mixed-up are withdrawn, the others corrected


# A zero from an unplugged cable, the code 127 of an oximeter, the flush of an arterial line, a temperature
# in Fahrenheit under the unit Celsius: each outside the catalogue's plausible range.
SPIKES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "heart_rate": (0.0, 350.0),
        "oxygen_saturation": (0.0, 127.0),
        "temperature": (98.6, 0.0),
        "systolic_pressure": (0.0, 375.0),
        "mean_arterial_pressure": (0.0, 360.0),
        "diastolic_pressure": (0.0, 345.0),
        "respiratory_rate": (0.0, 150.0),
    }
)

# What a laboratory answers for a sample it could not measure.
SPOILED = ("HEMOLYZED", "CLOTTED")

# What a probe reads in air: an oximeter on bedclothes, a skin probe at room warmth.
PROBE_OFF: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"oxygen_saturation": (42.0, 76.0), "temperature": (28.0, 33.5)}
)


def stretches(
    random: np.random.Generator, rate: float, hours: tuple[float, float], length_hours: float
) -> tuple[tuple[float, float], ...]:
    """(start, end) in hours since admission of events that come at `rate` per hour."""
    number = int(random.poisson(rate * length_hours))
    starts = random.uniform(0, length_hours, number)
    return tuple((float(start), float(start + random.uniform(*hours))) for start in np.sort(starts))


def within(hour: Array, spans: tuple[tuple[float, float], ...]) -> npt.NDArray[np.bool_]:
    """Which of `hour` (T,) fall into one of the spans."""
    inside = np.zeros(len(hour), dtype=bool)
    for start, end in spans:
        inside |= (hour >= start) & (hour < end)
    return inside


def disturbed(
    random: np.random.Generator, name: str, value: Array, config: DisturbanceConfig
) -> dict[int, tuple[float | str, str]]:
    """For rows of `value` (T,) that are spoiled: what is sent instead, and the artefact's name."""
    happens, which = random.random((2, len(value)))
    if name in SPIKES:
        spikes = np.flatnonzero(happens < config.spike_share).tolist()
        return {row: (SPIKES[name][int(which[row] * len(SPIKES[name]))], "spike") for row in spikes}
    if variable(name).kind is not Kind.LAB:
        return {}
    rows = np.flatnonzero(happens < config.spoiled_share).tolist()
    spoiled = {row: (SPOILED[int(which[row] * len(SPOILED))], "spoiled sample") for row in rows}
    if name != "troponin_i":
        return {**spoiled}
    low = np.flatnonzero(value < config.troponin_limit).tolist()
    return {**dict.fromkeys(low, (f"<{config.troponin_limit}", "censored")), **spoiled}


def off_probe(random: np.random.Generator, name: str, rounds: int) -> Array:
    """What a probe that fell off reads (T,), rounded as its monitor rounds."""
    low, high = PROBE_OFF[name]
    return np.round(random.uniform(low, high, rounds), 1 if name == "temperature" else 0)
