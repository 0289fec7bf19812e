"""Soft targets from boosted trees: what a network learns from besides the labels.

    target[t] = (1 - share) label[t] + share p[t]       p: what trees that never saw the subject expect

A label says whether a patient turned septic, which at hour t was partly chance; the trees' probability is the
part that was to be seen then, and a network that learns from both is taught less noise. Trees fit thresholds
and the clock better than a network does, and read single hours; the network adds the course of the stay.
Subjects are cut into folds, and the trees that speak of a fold were grown on the others.

    N  labelled hours of all stays     F  inputs     T  grid hours     K  horizons

Source: Hinton 2015 arXiv:1503.02531 (distillation), out of fold as in stacking (Wolpert 1992,
doi:10.1016/S0893-6080(05)80023-1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from models.clinical.errors import InvalidInput
from models.forests import grow
from models.network import INPUTS, MGPTCNNetwork
from models.training_feed import TrainingFeed
from models.training_stays import TrainingStay

Rows = npt.NDArray[np.float32]
Folds = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Teacher:
    """How the trees grow, and how much of a target is theirs."""

    share: float = 0.65
    folds: int = 3
    forests: int = 3  # each grows on every third hour, from the first, the second and the third on
    trees: int = 120
    rate: float = 0.08
    leaves: int = 31
    smallest_leaf: int = 170  # hours of those; a septic stay has about three positive ones
    l2: float = 10.0
    inputs_a_split: float = 0.3
    seed: int = 2019

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise InvalidInput("a teacher's share of a target", value=self.share, bound="in (0, 1]")

    def expects(self, rows: Rows, label: npt.NDArray[np.int8], fold: Folds) -> Rows:
        """The probability of each of `rows` (N, F) by the trees of the other folds: (N,).

        `label` and `fold` (N,). Raises InvalidInput if a fold leaves the others without both classes.
        """
        found = np.zeros(len(rows), dtype=np.float32)
        for own in range(self.folds):
            learn, asked = np.flatnonzero(fold != own), fold == own
            if len(np.unique(label[learn])) < 2:  # noqa: PLR2004  septic and not
                raise InvalidInput(
                    f"no trees can grow for fold {own}",
                    value=self.folds,
                    bound="septic subjects in each fold",
                )
            if asked.any():
                found[asked] = self._forests(rows, label, learn, rows[asked])
        return found

    def _forests(
        self, rows: Rows, label: npt.NDArray[np.int8], learn: Folds, asked: Rows
    ) -> npt.NDArray[np.float64]:
        """The mean probability of `asked` (A, F) by forests grown on the rows `learn`."""
        expected = np.zeros(len(asked))
        for forest in grow(self, self.inputs_a_split, rows, label, learn):
            with threadpool_limits(1):
                expected += forest.predict_proba(asked)[:, -1]
        return expected / self.forests


def taught(
    teacher: Teacher, network: MGPTCNNetwork, feed: TrainingFeed, stays: Sequence[TrainingStay]
) -> Tensor:
    """What the trees expect at every labelled hour of `stays`, end to end, from inputs of `feed`: (N,)."""
    ends = np.cumsum([int(one.labelled.sum()) for one in stays])
    rows, label = np.empty((ends[-1], INPUTS), dtype=np.float32), np.empty(ends[-1], dtype=np.int8)
    fold = np.empty(ends[-1], dtype=np.int64)
    with torch.no_grad():
        for index, (one, end) in enumerate(zip(stays, ends, strict=True)):
            own = slice(end - int(one.labelled.sum()), end)
            rows[own] = feed.inputs(network, index)[one.labelled]
            label[own] = one.label[one.labelled]
            fold[own] = fold_of(one.subject_id, teacher.folds)
    return torch.from_numpy(teacher.expects(rows, label, fold))


def fold_of(subject_id: str, folds: int) -> int:
    """The fold of a subject, the same wherever it is read."""
    return int.from_bytes(sha256(f"teacher:{subject_id}".encode()).digest()[:8], "big") % folds


def softened(
    stays: Sequence[TrainingStay], expected: Tensor, share: float, primary: int
) -> list[TrainingStay]:
    """The stays with `share` of the score's targets replaced by what is `expected` (N,)."""
    found, first = [], 0
    for one in stays:
        count = int(one.labelled.sum())
        target = one.target.clone()
        target[one.labelled, primary] *= 1.0 - share
        target[one.labelled, primary] += share * expected[first : first + count]
        found.append(replace(one, target=target))
        first += count
    return found
