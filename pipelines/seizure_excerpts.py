"""Excerpts of annotated recordings as samples of a network for seizures.

An excerpt is cut into segments once; each of its segments that has enough before it is a sample, a view of
the same memory. A segment is of a seizure where its middle lies in one.

N  segments of an excerpt     C  channels
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.clinical.errors import InvalidInput
from models.mvpa.samples import Sample
from pipelines.ingest.recordings.opened import OpenedRecording


@dataclass(frozen=True, eq=False)
class Excerpt:
    """`segments` (N, C, samples) in microvolt of one subject, and which `labels` (N) are of a seizure."""

    segments: Tensor
    labels: tuple[int, ...]
    subject_id: str


class Excerpts:
    """All samples of `context` segments that excerpts hold. Raises InvalidInput where there is none."""

    def __init__(self, excerpts: Sequence[Excerpt], context: int) -> None:
        self.excerpts, self.context = excerpts, context
        self._ends = [
            (number, end)
            for number, one in enumerate(excerpts)
            for end in range(context, len(one.labels) + 1)
        ]
        if not self._ends:
            raise InvalidInput(f"no excerpt of {context} segments", value=0, bound=">= 1 excerpt")

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> Sample:
        number, end = self._ends[index]
        one = self.excerpts[number]
        return Sample(one.segments[end - self.context : end], one.labels[end - 1], one.subject_id)


def excerpt(
    opened: OpenedRecording, subject_id: str, start: float, segments: int, segment_samples: int
) -> Excerpt:
    """`segments` segments of a recording at one rate, from `start` seconds after its beginning."""
    rate_hz = opened.recording.rate_hz
    seconds = segment_samples / rate_hz
    values = opened.recording.window(start, start + segments * seconds)  # (C, N samples)
    cut = values.reshape(len(values), segments, segment_samples).swapaxes(0, 1)
    middles = start + seconds * (np.arange(segments) + 0.5)
    seizures = [(one.onset_seconds, one.end_seconds) for one in opened.span.seizures]
    labels = tuple(int(any(onset <= middle < end for onset, end in seizures)) for middle in middles.tolist())
    return Excerpt(torch.from_numpy(np.ascontiguousarray(cut, dtype=np.float32)), labels, subject_id)
