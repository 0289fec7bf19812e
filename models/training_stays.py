"""Labelled stays as tensors, and batches of them.

B  batch     T  grid hours     n  observations     M  variables     C  side channels
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.clinical.stay import GRID_STEP, LabelledStay
from models.mgp.encoding import encode, side_channels
from models.mgp.posterior import pad
from models.mgp.standardise import VARIABLES, Standardisation, fit_standardisation
from models.mgp.tiles import Observed


@dataclass(frozen=True)
class TrainingStay:
    """A labelled stay up to its last labelled hour, float32.

    `time_hours`, `variable`, `value` (n,); `known` (T,) observations each hour may use; `side` (T, C);
    `label` (T,); `labelled` (T,) which hours have one.
    """

    time_hours: Tensor
    variable: Tensor
    value: Tensor
    known: Tensor
    side: Tensor
    label: Tensor
    labelled: Tensor


@dataclass(frozen=True)
class BatchLimits:
    """Long stays travel in smaller batches, so that a training step stays under about 2 GB."""

    stays: int = 32
    observations: int = 12_000


def standardisation_of(train: Sequence[LabelledStay]) -> Standardisation:
    """The standardisation learnt from the values of the training stays, without those found to be wrong."""
    tables = [table[table["known_until"].isna()] for table in (one.stay.observations for one in train)]
    names = np.concatenate([table["variable"].to_numpy(dtype=object) for table in tables])
    values = np.concatenate([table["value"].to_numpy(dtype=np.float64) for table in tables])
    return fit_standardisation({name: values[names == name] for name in VARIABLES})


def prepare(one: LabelledStay, standardisation: Standardisation) -> TrainingStay:
    """A labelled stay as it stood in its last labelled hour; what became known after that is left out."""
    hours = int(one.hour[-1])
    last = one.stay.admitted_at + hours * GRID_STEP
    encoded = encode(one.stay.standing(last), standardisation, hours)
    rows = int(encoded.known[-1])
    label, labelled = torch.zeros(hours), torch.zeros(hours, dtype=torch.bool)
    label[one.hour - 1] = torch.from_numpy(one.label).float()
    labelled[one.hour - 1] = True
    return TrainingStay(
        time_hours=torch.from_numpy(encoded.time_hours[:rows]).float(),
        variable=torch.from_numpy(encoded.variable[:rows]),
        value=torch.from_numpy(encoded.value[:rows]).float(),
        known=torch.from_numpy(encoded.known),
        side=torch.from_numpy(side_channels(encoded)),
        label=label,
        labelled=labelled,
    )


def batches(stays: Sequence[TrainingStay], limits: BatchLimits, seed: Sequence[int]) -> list[list[int]]:
    """Indices of stays in batches of about equally many observations, in an order drawn from `seed`."""
    draw = np.random.default_rng(list(seed))
    size = np.array([len(one.value) for one in stays])
    found: list[list[int]] = [[]]
    for index in np.argsort(size * draw.uniform(0.9, 1.1, len(size)), kind="stable").tolist():
        many = (len(found[-1]) + 1) * size[index] > limits.observations
        if len(found[-1]) == limits.stays or (found[-1] and many):
            found.append([])
        found[-1].append(index)
    return [found[place] for place in draw.permutation(len(found))]


def observed(stays: Sequence[TrainingStay]) -> Observed:
    """The observations of a batch, side by side."""
    return pad(
        len(VARIABLES),
        [one.time_hours for one in stays],
        [one.variable for one in stays],
        [one.value for one in stays],
    )


def side_by_side(rows: Sequence[Tensor]) -> Tensor:
    """(T, ...) of different T as one (B, T, ...), zero where a stay has ended."""
    padded: Tensor = nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    return padded
