"""Simulated seizures: where they begin, how they spread, slow down and end, as a formula of time.

tau seconds after the onset, at a channel that is recruited at d = distance / speed:

    frequency   last + (first - last) · exp(-tau / T),  T = duration / 2.5     the discharge slows
    phase       2 pi (last · tau + (first - last) · T · (1 - exp(-tau / T)))   its integral
    wave        cos p + cos 2p / 2 + … + cos 5p / 5                            spikes, not a sine
    envelope    grows from a quarter to all, begins at d within 2 s, ends within 1 s

The onset zone begins with fast activity of low voltage. After the end the background is flat and takes a
minute to come back. Source of the picture: Perucca et al. 2014, doi:10.1093/brain/awt299 (onset patterns).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.simulate.ieeg_subject import SubjectTraits

HARMONICS = 5
EVOLUTION = 2.5  # time constants of slowing in a seizure
REACH_MM = 45.0  # at which the discharge has a third of its size
FAST_HZ, FAST_SLOWING_HZ_S, FAST_DECAY_SECONDS = 70.0, 3.0, 4.0
SUPPRESSION, RECOVERY_SECONDS = 0.65, 25.0  # share of the background that is gone, and how fast it returns
SHORTEST_PAUSE_SECONDS = 600.0  # between two seizures

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Seizure:
    """One seizure: `phase` (C,) is each channel's own."""

    onset_seconds: float
    seconds: float
    amplitude: float
    phase: Floats

    @property
    def end_seconds(self) -> float:
        """When the discharge stops."""
        return self.onset_seconds + self.seconds


def draw_seizures(
    random: np.random.Generator, traits: SubjectTraits, onsets: tuple[float, ...]
) -> tuple[Seizure, ...]:
    """Seizures at these onsets, each like the subject's others and not quite."""
    return tuple(
        Seizure(
            onset,
            float(traits.seizure_seconds * random.lognormal(0.0, 0.15)),
            float(traits.seizure_amplitude * random.lognormal(0.0, 0.2)),
            random.uniform(0.0, 1.0, len(traits.distance_mm)),
        )
        for onset in onsets
    )


def draw_onsets(random: np.random.Generator, seconds: float, per_day: float) -> tuple[float, ...]:
    """Onsets of a Poisson process over the recording, none too near another or either end."""
    drawn = np.sort(random.uniform(0.0, seconds, random.poisson(per_day * seconds / 86_400.0)))
    kept: list[float] = []
    for onset in drawn.tolist():
        before = kept[-1] if kept else -SHORTEST_PAUSE_SECONDS / 2
        if onset - before >= SHORTEST_PAUSE_SECONDS and onset <= seconds - SHORTEST_PAUSE_SECONDS / 2:
            kept.append(onset)
    return tuple(kept)


def discharge(seizure: Seizure, traits: SubjectTraits, seconds: Floats) -> npt.NDArray[np.float32] | None:
    """The seizure's part (C, n) of the signal at these times, None where it has none."""
    tau = seconds - seizure.onset_seconds
    within = (tau >= 0.0) & (tau < seizure.seconds)
    if not within.any():
        return None
    wave = np.zeros((len(traits.distance_mm), len(seconds)), dtype=np.float32)
    wave[:, within] = _rhythm(seizure, traits, tau[within]) + _fast_onset(traits, tau[within])
    return wave


def background_share(seizure: Seizure, seconds: Floats) -> Floats:
    """How much of the background (n,) is left at these times: less after the end, then more again."""
    after = seconds - seizure.end_seconds
    gone = SUPPRESSION * np.exp(-np.maximum(after, 0.0) / RECOVERY_SECONDS)
    return np.where(after >= 0.0, 1.0 - gone, 1.0)


def _rhythm(seizure: Seizure, traits: SubjectTraits, tau: Floats) -> Floats:
    constant = seizure.seconds / EVOLUTION
    turns = traits.last_hz * tau + (traits.first_hz - traits.last_hz) * constant * (
        1 - np.exp(-tau / constant)
    )
    phase = 2 * np.pi * (turns[None] + 0.25 * seizure.phase[:, None])
    wave = sum((np.cos(order * phase) / order for order in range(2, HARMONICS + 1)), np.cos(phase))
    recruited = (traits.distance_mm / traits.spread_mm_s)[:, None]
    begin = np.clip((tau[None] - recruited) / 2.0, 0.0, 1.0)
    end = np.clip(seizure.seconds - tau, 0.0, 1.0)[None]
    growth = 0.25 + 0.75 * tau[None] / seizure.seconds
    swell = 1.0 + 0.3 * np.sin(2 * np.pi * (0.4 * tau[None] + seizure.phase[:, None]))
    reach = np.exp(-traits.distance_mm / REACH_MM)[:, None]
    whole: Floats = seizure.amplitude / 1.5 * reach * begin * end * growth * swell * wave
    return whole


def _fast_onset(traits: SubjectTraits, tau: Floats) -> Floats:
    wave = np.sin(2 * np.pi * (FAST_HZ * tau - FAST_SLOWING_HZ_S / 2 * tau**2)) * np.exp(
        -tau / FAST_DECAY_SECONDS
    )
    size = np.where(traits.distance_mm == 0.0, 0.8 * traits.amplitude, 0.0)
    fast: Floats = size[:, None] * wave[None] * (tau < 4 * FAST_DECAY_SECONDS)
    return fast
