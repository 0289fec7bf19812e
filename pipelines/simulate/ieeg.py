"""Simulated intracranial EEG of any montage and any length, never held in memory, marked synthetic.

1/f background, spikes, muscle, movement, pops, hum, and seizures with an onset zone, spread and slowing. A
subject (`subject`) has a brain, a montage and a seizure of its own; a recording (`seed`) of a subject has
its own course. The same seed, subject and configuration give the same samples, whatever window is read, in
whatever order.

Simulated recordings show that the parts work together, and how a detector fares on what was put in. They
prove nothing about patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from models.clinical.annotation import SEIZURE as SEIZURE_TYPE
from models.clinical.annotation import Annotation
from models.clinical.errors import InvalidInput
from models.clinical.recording import Channel, Recording, Samples, Stretch
from pipelines.ingest.recordings.opened import OpenedRecording
from pipelines.simulate.ieeg_background import BLOCK_SECONDS, faded, hum, noise_block
from pipelines.simulate.ieeg_events import EventBlock, EventRates, add_events
from pipelines.simulate.ieeg_seizures import (
    Seizure,
    background_share,
    discharge,
    draw_onsets,
    draw_seizures,
)
from pipelines.simulate.ieeg_subject import (
    BACKGROUND,
    SCHEDULE,
    SEIZURE,
    SUBJECT,
    SubjectTraits,
    depth_electrodes,
    draw_traits,
)

SIMULATOR = "simulator"
_IEEG = 2  # the first part of a seed's key; stays use 0 and wards 1
MOST_CHANNELS = 512


@dataclass(frozen=True)
class IEEGConfig:
    """What is recorded. `channels` None: the subject has `channel_count` contacts on depth electrodes.

    `seizure_onsets` (seconds) None: drawn, `seizures_per_day` on average. Raises InvalidInput for a length
    or a rate that is not above 0, or no channel or more than 512.
    """

    seconds: float
    rate_hz: float = 512.0
    channel_count: int = 32
    channels: tuple[Channel, ...] | None = None
    seizures_per_day: float = 12.0
    seizure_onsets: tuple[float, ...] | None = None
    line_hz: float = 50.0
    events: EventRates = field(default_factory=EventRates)

    def __post_init__(self) -> None:
        for name, value, unit in (("length", self.seconds, "s"), ("rate", self.rate_hz, "Hz")):
            if not 0.0 < value < np.inf:
                raise InvalidInput(
                    f"{name} {value} {unit}: must be > 0 {unit}", value=value, bound="> 0", unit=unit
                )
        count = self.channel_count if self.channels is None else len(self.channels)
        if not 1 <= count <= MOST_CHANNELS:
            raise InvalidInput(
                f"{count} channels; must be in [1, {MOST_CHANNELS}]",
                value=count,
                bound=f"[1, {MOST_CHANNELS}]",
            )


def simulate_ieeg(
    seed: int, subject: int, config: IEEGConfig, started_at: datetime | None = None
) -> OpenedRecording:
    """One recording of one simulated subject, with its seizures as annotations (channels: the onset zone)."""
    random = np.random.default_rng([_IEEG, subject, SUBJECT])
    montage = config.channels or depth_electrodes(random, config.channel_count, config.rate_hz)
    channels = tuple(Channel(one.name, config.rate_hz, position_mm=one.position_mm) for one in montage)
    traits = draw_traits(random, channels)
    key = (_IEEG, subject, seed)
    onsets = config.seizure_onsets
    if onsets is None:
        onsets = draw_onsets(np.random.default_rng([*key, SCHEDULE]), config.seconds, config.seizures_per_day)
    seizures = draw_seizures(np.random.default_rng([*key, SEIZURE]), traits, onsets)
    recording = Recording(
        recording_id=f"sim-{subject}-{seed}",
        channels=channels,
        stretches=(Stretch(0.0, config.seconds),),
        samples=SimulatedSamples(key, config, channels, traits, seizures),
        started_at=started_at,
        source=SIMULATOR,
        synthetic=True,
    )
    zone = tuple(channels[position].name for position in traits.zone)
    return OpenedRecording(recording, tuple(_annotation(seizure, zone) for seizure in seizures))


def _annotation(seizure: Seizure, zone: tuple[str, ...]) -> Annotation:
    return Annotation(seizure.onset_seconds, seizure.seconds, SEIZURE_TYPE, channels=zone)


@dataclass(frozen=True, eq=False)
class SimulatedSamples:
    """Samples made when they are read: block by block, each block always alike."""

    key: tuple[int, ...]
    config: IEEGConfig
    channels: tuple[Channel, ...]
    traits: SubjectTraits
    seizures: tuple[Seizure, ...]

    def read(self, channels: Sequence[int], first: int, stop: int) -> Samples:
        """Samples (C, stop - first) in microvolt."""
        each = self._block_samples
        parts = []
        for block in range(first // each, -(-stop // each)):
            begin, end = max(first - block * each, 0), min(stop - block * each, each)
            parts.append(_block(self, block)[list(channels), begin:end])
        return np.concatenate(parts, axis=1) if parts else np.empty((len(channels), 0), dtype=np.float32)

    @property
    def _block_samples(self) -> int:
        return round(BLOCK_SECONDS * self.config.rate_hz)

    def made(self, block: int) -> Samples:
        """Every channel's samples of one block."""
        config, each = self.config, self._block_samples
        time = (block * each + np.arange(each)) / config.rate_hz
        values = faded(_noise(self, block - 1), _noise(self, block))
        for seizure in self.seizures:
            values *= background_share(seizure, time).astype(np.float32)
        length = each / config.rate_hz
        for number in range(max(block - 1, 0), block + 1):
            begun = EventBlock(self.key, number, length, config.rate_hz)
            add_events(values, time, self.traits, config.events, begun)
        for seizure in self.seizures:
            wave = discharge(seizure, self.traits, time)
            values += 0.0 if wave is None else wave
        values += hum(self.traits, time, config.line_hz)
        return values

    def noise(self, block: int) -> npt.NDArray[np.float32]:
        """The noise (C, 2 blocks) that begins with a block; block -1 is the one before the recording."""
        names = dict.fromkeys(channel.shaft for channel in self.channels)
        numbers = {shaft: number for number, shaft in enumerate(names)}
        shaft = np.array([numbers[channel.shaft] for channel in self.channels])
        random = np.random.default_rng([*self.key, BACKGROUND, block + 1])
        return noise_block(random, self.traits, shaft, 2 * self._block_samples, self.config.rate_hz)


# a window in order needs the block before once more, and nothing older
@lru_cache(maxsize=4)
def _noise(samples: SimulatedSamples, block: int) -> npt.NDArray[np.float32]:
    return samples.noise(block)


@lru_cache(maxsize=4)
def _block(samples: SimulatedSamples, block: int) -> npt.NDArray[np.float32]:
    return samples.made(block)
