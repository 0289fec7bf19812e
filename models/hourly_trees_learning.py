"""How the hourly trees grow: on labelled hours of training stays, calibrated on validation subjects.

N  labelled hours     C  channels
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score  # type: ignore[import-untyped]

from models.calibration import best_f1, calibrate, check_both_labels
from models.channels import CHANNELS, channels
from models.clinical.stay import GRID_STEP, LabelledStay
from models.forests import grow
from models.hourly_trees import HourlyTreesConfig, Learnt
from models.mgp.encoding import encode
from models.mgp.standardise import Standardisation
from models.prior import prior_of
from models.training_stays import standardisation_of
from models.trees import Rows, Trees

Labels = npt.NDArray[np.int8]


def learn(
    config: HourlyTreesConfig, train: Sequence[LabelledStay], validation: Sequence[LabelledStay]
) -> Learnt:
    """Trees, calibration and the threshold of best F1; `pipelines.train_trees` takes that of utility.

    Raises InvalidInput where the hours of a part have one label only.
    """
    standardisation = standardisation_of(train)
    trees = grown(config, *labelled_hours(train, standardisation))
    rows, label = labelled_hours(validation, standardisation)
    logit = trees.logit(rows)
    prior = prior_of(validation, standardisation, config.sufficiency)
    calibration = calibrate(logit, label, prior)
    figures = {"auroc": roc_auc_score(label, logit), "auprc": average_precision_score(label, logit)}
    training = {"validation": {name: float(value) for name, value in figures.items()}}
    return Learnt(trees, standardisation, calibration, best_f1(calibration(logit), label), training)


def grown(config: HourlyTreesConfig, rows: Rows, label: Labels) -> Trees:
    """The mean of forests grown on thinned `rows` (N, C) with their `label` (N,)."""
    check_both_labels(label)
    return Trees.of(list(grow(config, config.channels_a_split, rows, label)))


def labelled_hours(stays: Sequence[LabelledStay], standardisation: Standardisation) -> tuple[Rows, Labels]:
    """Channels (N, C) and labels (N,) of every labelled hour of `stays`, end to end."""
    label = np.concatenate([one.label for one in stays])
    rows, first = np.empty((len(label), CHANNELS), dtype=np.float32), 0
    for one in stays:
        hours = int(one.hour[-1])
        known = one.stay.standing(one.stay.admitted_at + hours * GRID_STEP)
        read = channels(known, encode(known, standardisation, hours), standardisation.learnt)
        rows[first : first + len(one.hour)] = read[one.hour - 1]
        first += len(one.hour)
    return rows, label
