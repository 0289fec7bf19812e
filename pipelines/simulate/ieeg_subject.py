"""Simulated people with electrodes: where their contacts lie, and what is their own about brain and
seizures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.clinical.recording import Channel

CONTACT_PITCH_MM = 3.5  # between neighbours of a depth electrode
SHAFT_PITCH_MM = 15.0  # between shafts, where the source does not say
CONTACTS_A_SHAFT = (8, 10, 12, 15)
SHAFTS = ("A", "B", "C", "H", "T", "I", "O", "F", "A'", "B'", "C'", "H'", "T'", "I'", "O'", "F'")

# What a simulated recording's streams of random numbers are for: the last part of a stream's key.
SUBJECT, SCHEDULE, BACKGROUND, SPIKES, ARTEFACTS, POPS, SEIZURE = range(7)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SubjectTraits:
    """What one simulated person's recordings have in common. Amplitudes are standard deviations in microvolt.

    `amplitude` (C,) of the background; `slope` of its spectrum, power ~ 1 / f^slope; `rhythm_hz` where it
    has a bump; `line` (C,) amplitude of the hum; `zone` channels of the seizure onset; `distance_mm` (C,)
    from it; seizures begin at `first_hz` and slow to `last_hz`, spread at `spread_mm_s`, reach
    `seizure_amplitude` and last `seizure_seconds`; `spikes_per_minute` between seizures.
    """

    amplitude: Floats
    slope: float
    rhythm_hz: float
    line: Floats
    zone: tuple[int, ...]
    distance_mm: Floats
    first_hz: float
    last_hz: float
    spread_mm_s: float
    seizure_amplitude: float
    seizure_seconds: float
    spikes_per_minute: float


def depth_electrodes(random: np.random.Generator, count: int, rate_hz: float) -> tuple[Channel, ...]:
    """`count` contacts on shafts of 8 to 15, without positions."""
    channels: list[Channel] = []
    names, shaft = random.permutation(SHAFTS).tolist(), 0
    while len(channels) < count:
        length = int(random.choice(CONTACTS_A_SHAFT))
        name = names[shaft % len(SHAFTS)] * (1 + shaft // len(SHAFTS))
        channels += [Channel(f"{name}{contact}", rate_hz) for contact in range(1, length + 1)]
        shaft += 1
    return tuple(channels[:count])


def draw_traits(random: np.random.Generator, channels: Sequence[Channel]) -> SubjectTraits:
    """One person's traits on these channels. The onset zone is two to four neighbours of one contact."""
    place = positions(channels)
    centre = int(random.integers(len(channels)))
    from_centre = np.linalg.norm(place - place[centre], axis=1)
    zone = np.argsort(from_centre, kind="stable")[: int(random.integers(2, 5))]
    amplitude = random.uniform(20.0, 50.0) * random.lognormal(0.0, 0.25, len(channels))
    return SubjectTraits(
        amplitude=amplitude,
        slope=float(random.uniform(1.2, 2.2)),
        rhythm_hz=float(random.uniform(5.0, 11.0)),
        line=random.exponential(2.0, len(channels)),
        zone=tuple(sorted(zone.tolist())),
        distance_mm=np.min([np.linalg.norm(place - place[one], axis=1) for one in zone], axis=0),
        first_hz=float(random.uniform(7.0, 16.0)),
        last_hz=float(random.uniform(1.5, 4.0)),
        spread_mm_s=float(random.uniform(1.5, 8.0)),
        seizure_amplitude=float(random.uniform(200.0, 500.0)),
        seizure_seconds=float(random.uniform(35.0, 110.0)),
        spikes_per_minute=float(random.uniform(0.5, 8.0)),
    )


def positions(channels: Sequence[Channel]) -> Floats:
    """Places (C, 3) in mm: as stated, else contacts along parallel shafts."""
    shafts = {
        shaft: number for number, shaft in enumerate(dict.fromkeys(channel.shaft for channel in channels))
    }
    return np.array(
        [
            channel.position_mm
            or (SHAFT_PITCH_MM * shafts[channel.shaft], 0.0, CONTACT_PITCH_MM * (channel.contact or place))
            for place, channel in enumerate(channels)
        ]
    )
