"""Who trains, who validates and who is held out: by a hash of the subject, so that every later run agrees."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

Split = Literal["train", "validation", "test"]

SPLIT_RULE = (
    "sha256('cinc2019:' + subject_id), first 8 bytes big-endian, modulo 100: "
    "below 70 train, below 80 validation, else test"
)


def split_of(subject_id: str) -> Split:
    """Which part of the data a subject belongs to, by `SPLIT_RULE`: 70, 10 and 20 in a hundred."""
    digest = sha256(f"cinc2019:{subject_id}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") % 100
    return "train" if place < 70 else "validation" if place < 80 else "test"  # noqa: PLR2004  stated above


def held_out(subject_id: str) -> bool:
    """Whether neither training nor validation has seen the subject."""
    return split_of(subject_id) == "test"
