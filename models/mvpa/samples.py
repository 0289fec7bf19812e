"""What training reads, and who may be on which side of a split.

Anything with a length and samples by number can be trained on. The guard refuses a split in which a
subject, or the very same signal under another name, is on both sides: public copies of one collection hold
the same patients in two folders. A channel's segment is known by its samples, or by its course: which of the
means of 65 equal parts rise and which fall. So a copy is known with its channels in another order or some
left out, with gaps, with values rounded or in another unit. It is not known re-referenced, filtered,
resampled, or cut into segments that begin elsewhere.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from models.clinical.errors import InvalidInput

_NAMED = 5  # subjects that a message lists
SAME_SHARE = 0.5  # of a segment's channels, from which on it is a copy
_PARTS = 65  # of a channel's segment, whose means rise or fall
_FEWEST_TURNS = 8  # a course that turns less often may be anybody's


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


def channel_hashes(segment: Tensor) -> list[set[bytes]]:
    """Hashes of samples and course of each channel of a segment (C, samples) that has a whole signal."""
    return [
        _hashes(row) for row in segment if bool(torch.isfinite(row).all()) and bool(row.amax() > row.amin())
    ]


def _hashes(row: Tensor) -> set[bytes]:
    values = row.to(torch.float32).contiguous()
    found = {hashlib.sha256(values.numpy().tobytes()).digest()}
    parts = min(_PARTS, len(values))
    means = values[: len(values) // parts * parts].double().view(parts, -1).mean(-1)
    rises = means.diff() > 0.0
    if int((rises[1:] != rises[:-1]).sum()) >= _FEWEST_TURNS:
        found.add(hashlib.sha256(rises.numpy().tobytes()).digest())
    return found


def check_split(training: Samples, held_out: Samples) -> None:
    """Raise InvalidInput where a subject, or a segment whoever it is said to be of, is on both sides.

    A segment is, where at least `SAME_SHARE` of its channels with a whole signal are channels of one other
    subject.
    """
    subjects = {sample.subject_id for sample in every(training)}
    shared = sorted(subjects & {sample.subject_id for sample in every(held_out)})
    if shared:
        named = ", ".join(shared[:_NAMED])
        raise InvalidInput(
            f"{len(shared)} subjects train and are held out: {named}",
            value=shared,
            bound="0 subjects in common",
        )
    owner = {key: sample.subject_id for sample in every(training) for key in _keys(sample)}
    for sample in every(held_out):
        for segment in sample.segments:
            channels = channel_hashes(segment)
            owners = Counter(owner[min(known)] for keys in channels if (known := keys & owner.keys()))
            for subject, count in owners.most_common(1):
                if count >= SAME_SHARE * len(channels):
                    raise InvalidInput(
                        f"subject {sample.subject_id}, held out, has a segment of subject {subject}, who "
                        "trains: the same recording under two names",
                        value=sample.subject_id,
                        bound="no segment in common",
                    )


def _keys(sample: Sample) -> set[bytes]:
    """The hashes of every channel of every segment."""
    return {key for segment in sample.segments for keys in channel_hashes(segment) for key in keys}
