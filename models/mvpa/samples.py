"""What training reads, and who may be on which side of a split.

Anything with a length and samples by number can be trained on. The guard refuses a split in which a
subject, or the very same signal under another name, is on both sides: public copies of one collection hold
the same patients in two folders. A segment is known by a hash of its samples, whatever order its channels
come in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from models.clinical.errors import InvalidInput

_NAMED = 5  # subjects that a message lists


@dataclass(frozen=True, eq=False)
class Sample:
    """A stretch of one recording.

    `segments` (T, C, samples) float32 in microvolt, a token with a NaN is missing; `label` 1 where the last
    segment is of a seizure, else 0 (pre-training does not look at it); `subject_id` whose it is. Raises
    InvalidInput where these cannot be.
    """

    segments: Tensor
    label: int
    subject_id: str

    def __post_init__(self) -> None:
        if self.segments.ndim != 3 or 0 in self.segments.shape:  # noqa: PLR2004 T, C, samples
            raise InvalidInput(
                f"segments of shape {tuple(self.segments.shape)} are not (T, C, samples)",
                value=tuple(self.segments.shape),
                bound="(T >= 1, C >= 1, samples >= 1)",
            )
        if self.label not in {0, 1}:
            raise InvalidInput(f"label {self.label} must be 0 or 1", value=self.label, bound="0 or 1")

    @property
    def missing(self) -> Tensor:
        """Which tokens (T, C) are missing."""
        return ~torch.isfinite(self.segments).all(-1)


class Samples(Protocol):
    """Samples by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


def every(samples: Samples) -> Iterable[Sample]:
    """All samples in order."""
    return (samples[index] for index in range(len(samples)))


def segment_hashes(sample: Sample) -> set[str]:
    """A hash of each segment that has a signal: of its channels' samples, without their order or names."""
    found = set()
    for segment in sample.segments:
        spread = segment.amax(-1) - segment.amin(-1)
        channels = [row for row, width in zip(segment, spread.tolist(), strict=True) if width > 0.0]
        if channels:
            parts = sorted(hashlib.sha256(_bytes(row)).digest() for row in channels)
            found.add(hashlib.sha256(b"".join(parts)).hexdigest())
    return found


def _bytes(row: Tensor) -> bytes:
    return row.to(torch.float32).contiguous().numpy().tobytes()


def check_split(training: Samples, held_out: Samples) -> None:
    """Raise InvalidInput where a subject, or a segment whoever it is said to be of, is on both sides."""
    subjects = {sample.subject_id for sample in every(training)}
    shared = sorted(subjects & {sample.subject_id for sample in every(held_out)})
    if shared:
        named = ", ".join(shared[:_NAMED])
        raise InvalidInput(
            f"{len(shared)} subjects train and are held out: {named}",
            value=shared,
            bound="0 subjects in common",
        )
    owner = {key: sample.subject_id for sample in every(training) for key in segment_hashes(sample)}
    for sample in every(held_out):
        for key in segment_hashes(sample) & owner.keys():
            raise InvalidInput(
                f"subject {sample.subject_id}, held out, has a segment of subject {owner[key]}, who trains: "
                "the same recording under two names",
                value=sample.subject_id,
                bound="no segment in common",
            )
