"""What a reader of recordings gives: the recording, what is said of it, and what could not be used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.clinical.annotation import AnnotatedSpan, Annotation
from models.clinical.recording import MICROVOLT, Recording, Samples

# how often one of these goes into a microvolt, by what files write
MICROVOLTS = {
    "uv": 1.0,
    "µv": 1.0,
    "μv": 1.0,
    "microvolt": 1.0,
    "nv": 1e-3,
    "mv": 1e3,
    "v": 1e6,
}


@dataclass(frozen=True, eq=False)
class OpenedRecording:
    """A recording, its annotations, and one sentence for each thing in the source that was set aside."""

    recording: Recording
    annotations: tuple[Annotation, ...] = ()
    complaints: tuple[str, ...] = ()

    @property
    def span(self) -> AnnotatedSpan:
        """The annotations as a table of them is written."""
        return AnnotatedSpan(self.annotations, self.recording.started_at, self.recording.seconds)


def no_electrodes(recording: Recording) -> str:
    """The channels that are no electrodes of the brain, with what the source calls them; or nothing."""
    return ", ".join(f"{channel.name} ({channel.kind})" for channel in recording.channels if channel.kind)


def in_microvolt(unit: str) -> tuple[str, float]:
    """A unit as it is kept and the factor to it: voltages become microvolt, what else there is stays."""
    factor = MICROVOLTS.get(unit.strip().lower())
    return (unit.strip(), 1.0) if factor is None else (MICROVOLT, factor)


def as_samples(values: npt.ArrayLike) -> Samples:
    """The values in float32; one that is infinite there is missing."""
    with np.errstate(over="ignore"):
        samples = np.asarray(values, dtype=np.float32)
    infinite = np.isinf(samples)
    return np.where(infinite, np.float32(np.nan), samples) if infinite.any() else samples
