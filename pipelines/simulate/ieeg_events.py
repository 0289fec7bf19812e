"""Short things on simulated electrodes: epileptic spikes, muscle and movement, electrodes that pop.

Every event belongs to the block in which it begins and is over before the next but one begins. What a block
holds is drawn from the block's own random numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.simulate.ieeg_subject import ARTEFACTS, POPS, SPIKES, SubjectTraits

LONGEST_SECONDS = 8.0
SPIKE_SECONDS, SPIKE_REACH_MM = 0.4, 10.0


@dataclass(frozen=True)
class EventRates:
    """Events an hour: muscle and movement over many channels, and pops of single electrodes."""

    muscle: float = 6.0
    movement: float = 4.0
    pops: float = 6.0


@dataclass(frozen=True)
class EventBlock:
    """Where events begin: the stream's key, the block's number and length, and the signal's rate."""

    key: tuple[int, ...]
    number: int
    seconds: float
    rate_hz: float


def add_events(
    values: npt.NDArray[np.float32],
    time: npt.NDArray[np.float64],
    traits: SubjectTraits,
    rates: EventRates,
    block: EventBlock,
) -> None:
    """Add to `values` (C, n) at `time` (n,), in seconds, what begins in one block."""
    key, number, length, rate_hz = block.key, block.number, block.seconds, block.rate_hz
    begins, hours = number * length, length / 3600.0
    random = np.random.default_rng([*key, SPIKES, number])
    for at in random.uniform(
        begins, begins + length, random.poisson(traits.spikes_per_minute * length / 60.0)
    ):
        _add_spike(random, values, time - at, traits)
    random = np.random.default_rng([*key, ARTEFACTS, number])
    for at in random.uniform(begins, begins + length, random.poisson(rates.muscle * hours)):
        _add_muscle(random, values, time - at, rate_hz)
    for at in random.uniform(begins, begins + length, random.poisson(rates.movement * hours)):
        _add_movement(random, values, time - at)
    random = np.random.default_rng([*key, POPS, number])
    for at in random.uniform(begins, begins + length, random.poisson(rates.pops * hours)):
        _add_pop(random, values, time - at)


def _add_spike(
    random: np.random.Generator,
    values: npt.NDArray[np.float32],
    since: npt.NDArray[np.float64],
    traits: SubjectTraits,
) -> None:
    """A sharp wave of some 70 ms and the slow wave after it, strongest in the onset zone."""
    height = random.uniform(3.0, 8.0) * float(np.median(traits.amplitude))
    within = (since >= 0.0) & (since < SPIKE_SECONDS)
    after = since[within]
    wave = np.exp(-0.5 * ((after - 0.05) / 0.012) ** 2) - 0.45 * np.exp(-0.5 * ((after - 0.18) / 0.055) ** 2)
    reach = np.exp(-traits.distance_mm / SPIKE_REACH_MM)
    values[:, within] += (height * reach[:, None] * wave).astype(np.float32)


def _add_muscle(
    random: np.random.Generator,
    values: npt.NDArray[np.float32],
    since: npt.NDArray[np.float64],
    rate_hz: float,
) -> None:
    """Fast noise for some seconds on some channels; drawn whole, so that any window cuts it alike."""
    lasts = random.uniform(1.0, LONGEST_SECONDS)
    touched = random.random(len(values)) < random.uniform(0.1, 0.7)
    height = random.uniform(20.0, 90.0)
    drawn = np.diff(random.standard_normal((1, round(LONGEST_SECONDS * rate_hz) + 2), dtype=np.float32))[0]
    within = (since >= 0.0) & (since < lasts)
    envelope = np.sin(np.pi * since[within] / lasts)
    burst = height * envelope * drawn[np.floor(since[within] * rate_hz).astype(np.int64)]
    values[np.ix_(touched, within)] += burst.astype(np.float32)


def _add_movement(
    random: np.random.Generator, values: npt.NDArray[np.float32], since: npt.NDArray[np.float64]
) -> None:
    """A slow swing of every channel, larger than any brain wave."""
    lasts = random.uniform(1.0, 5.0)
    size = random.normal(0.0, 300.0, len(values))
    within = (since >= 0.0) & (since < lasts)
    swing = np.sin(2 * np.pi * since[within] / lasts) * np.sin(np.pi * since[within] / lasts)
    values[:, within] += (size[:, None] * swing).astype(np.float32)


def _add_pop(
    random: np.random.Generator, values: npt.NDArray[np.float32], since: npt.NDArray[np.float64]
) -> None:
    """One contact jumps and comes back as its coupling charges."""
    channel = int(random.integers(len(values)))
    height = random.choice((-1.0, 1.0)) * random.uniform(500.0, 2500.0)
    decay = random.uniform(0.1, 1.0)
    within = (since >= 0.0) & (since < LONGEST_SECONDS)
    values[channel, within] += (height * np.exp(-since[within] / decay)).astype(np.float32)
