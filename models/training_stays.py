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
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.channels import channels
from models.clinical.stay import GRID_STEP, LabelledStay
from models.mgp.encoding import encode
from models.mgp.standardise import VARIABLES, Standardisation, fit_standardisation
from models.network import MGPTCNConfig

GROUP = 8  # stays side by side: more would pad more, fewer would cost more calls


@dataclass(frozen=True)
class TrainingStay:
    """A labelled stay of a subject up to its last labelled hour, float32.

    `time_hours`, `variable`, `value` (n,); `known` (T,) observations each hour may use; `channels` (T, C);
    `label` (T,); `target` (T, K); `labelled` (T,) which hours have a label.
    """

    subject_id: str
    time_hours: Tensor
    variable: Tensor
    value: Tensor
    known: Tensor
    channels: Tensor
    label: Tensor
    target: Tensor
    labelled: Tensor


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
        subject_id=one.stay.subject_id,
        time_hours=torch.from_numpy(encoded.time_hours[:rows]),
        variable=torch.from_numpy(encoded.variable[:rows]),
        value=torch.from_numpy(encoded.value[:rows]),
        known=torch.from_numpy(encoded.known),
        channels=torch.from_numpy(channels(known, encoded, standardisation.learnt)),
        label=label,
        target=_targets(label, config),
        labelled=labelled,
    )


def batches(
    stays: Sequence[TrainingStay], size: int, seed: Sequence[int], controls_a_case: float | None = None
) -> list[list[list[int]]]:
    """Batches of `size` stays drawn at random without replacement, each as groups of like length.

    All stays, or all with a positive hour and `controls_a_case` times as many others.

    Where a ward discharges whoever is well, length tells the outcome: a batch of like lengths would be nearly
    all septic or all not, and its gradient would speak of length. Groups only save padding.
    """
    order = np.random.default_rng(list(seed)).permutation(len(stays))
    if controls_a_case is not None:
        case = np.array([bool(stays[index].label.any()) for index in order])
        order = order[case | (np.cumsum(~case) <= controls_a_case * case.sum())]
    return [groups(stays, order[first : first + size]) for first in range(0, len(order), size)]


def groups(stays: Sequence[TrainingStay], batch: npt.NDArray[np.int64]) -> list[list[int]]:
    """The stays of a batch, given as indices, from the shortest to the longest, `GROUP` at a time."""
    ordered = batch[np.argsort([len(stays[index].label) for index in batch], kind="stable")]
    return [ordered[first : first + GROUP].tolist() for first in range(0, len(ordered), GROUP)]


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
