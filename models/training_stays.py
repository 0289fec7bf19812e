"""Labelled stays as tensors, and batches of them.

    target[t, q] = 1 from q hours before the onset on;   onset = first positive hour + the label's lead

The label itself is the target of its own lead (6 h before the onset in CinC 2019); the other horizons follow
from the onset it implies.

B  batch     T  grid hours     n  observations     M  variables     C  channels     K  horizons
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.channels import channels
from models.clinical.stay import GRID_STEP, LabelledStay
from models.mgp.encoding import encode
from models.mgp.standardise import VARIABLES, Standardisation, fit_standardisation
from models.network import MGPTCNConfig


@dataclass(frozen=True)
class TrainingStay:
    """A labelled stay up to its last labelled hour, float32.

    `time_hours`, `variable`, `value` (n,); `known` (T,) observations each hour may use; `channels` (T, C);
    `label` (T,); `target` (T, K); `labelled` (T,) which hours have a label.
    """

    time_hours: Tensor
    variable: Tensor
    value: Tensor
    known: Tensor
    channels: Tensor
    label: Tensor
    target: Tensor
    labelled: Tensor


@dataclass(frozen=True)
class BatchLimits:
    """Long stays travel in smaller batches."""

    stays: int = 48
    hours: int = 2880


def standardisation_of(train: Sequence[LabelledStay]) -> Standardisation:
    """The standardisation learnt from the values of the training stays, without those found to be wrong."""
    tables = [table[table["known_until"].isna()] for table in (one.stay.observations for one in train)]
    names = np.concatenate([table["variable"].to_numpy(dtype=object) for table in tables])
    values = np.concatenate([table["value"].to_numpy(dtype=np.float64) for table in tables])
    return fit_standardisation({name: values[names == name] for name in VARIABLES})


def prepare(one: LabelledStay, standardisation: Standardisation, config: MGPTCNConfig) -> TrainingStay:
    """A labelled stay as it stood in its last labelled hour; what became known after that is left out."""
    hours = int(one.hour[-1])
    known = one.stay.standing(one.stay.admitted_at + hours * GRID_STEP)
    encoded = encode(known, standardisation, hours)
    rows = int(encoded.known[-1])
    label, labelled = torch.zeros(hours), torch.zeros(hours, dtype=torch.bool)
    label[one.hour - 1] = torch.from_numpy(one.label).float()
    labelled[one.hour - 1] = True
    return TrainingStay(
        time_hours=torch.from_numpy(encoded.time_hours[:rows]),
        variable=torch.from_numpy(encoded.variable[:rows]),
        value=torch.from_numpy(encoded.value[:rows]),
        known=torch.from_numpy(encoded.known),
        channels=torch.from_numpy(channels(known, encoded, standardisation.learnt)),
        label=label,
        target=_targets(label, config),
        labelled=labelled,
    )


def batches(stays: Sequence[TrainingStay], limits: BatchLimits, seed: Sequence[int]) -> list[list[int]]:
    """Indices of stays in batches of about equally long stays, in an order drawn from `seed`."""
    draw = np.random.default_rng(list(seed))
    size = np.array([len(one.label) for one in stays])
    found: list[list[int]] = [[]]
    for index in np.argsort(size * draw.uniform(0.85, 1.15, len(size)), kind="stable").tolist():
        many = (len(found[-1]) + 1) * size[index] > limits.hours
        if len(found[-1]) == limits.stays or (found[-1] and many):
            found.append([])
        found[-1].append(index)
    return [found[place] for place in draw.permutation(len(found))]


def side_by_side(rows: Sequence[Tensor]) -> Tensor:
    """(T, ...) of different T as one (B, T, ...), zero where a stay has ended."""
    padded: Tensor = nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    return padded


def _targets(label: Tensor, config: MGPTCNConfig) -> Tensor:
    """Hourly targets of every horizon from the label (T,) of one of them: (T, K)."""
    positive = torch.nonzero(label).flatten()
    hour = torch.arange(len(label))
    onset = int(positive[0]) + config.horizon_hours if len(positive) else len(label) + 1000
    columns = [(hour >= onset - horizon).float() for horizon in config.horizons_hours]
    columns[config.primary] = label
    return torch.stack(columns, dim=-1)
