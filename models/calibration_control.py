"""Calibration on few subjects, corrected by what trees say of many: a control variate.

Validation subjects are few, and by chance ranked better or worse than all. A network is too dear to be
trained once a fold; boosted trees are not, so that each hour of every training and validation subject is
scored by trees that never saw its subject. They are calibrated on the validation subjects and on everybody:

    correction = everybody(validation^-1)         two straight lines of the logit, so it is one too

is the chance that befell these validation subjects, as far as trees feel it, and a model that was calibrated
on them is corrected by it. Where they are like everybody it changes nothing.

    N  labelled hours of all stays

Source: the regression estimator of two-phase sampling, Cochran 1977, Sampling Techniques, chapter 12.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.calibration import Calibration, calibrate
from models.clinical.stay import LabelledStay
from models.hourly_trees import HourlyTreesConfig
from models.hourly_trees_learning import labelled_hours, out_of_fold
from models.teacher import fold_of
from models.training_stays import standardisation_of

FOLDS = 3


def correction(
    train: Sequence[LabelledStay],
    validation: Sequence[LabelledStay],
    config: HourlyTreesConfig | None = None,
) -> Calibration:
    """From a logit that is calibrated on `validation` to one that is calibrated on `train` and `validation`.

    Takes minutes, and 3 kB an hour. Raises InvalidInput where a fold, or the validation subjects, have one
    label only.
    """
    stays = [*train, *validation]
    hours = [len(one.label) for one in stays]
    rows, label = labelled_hours(stays, standardisation_of(train))
    fold = np.repeat([fold_of(one.stay.subject_id, FOLDS) for one in stays], hours)
    logit = out_of_fold(config or HourlyTreesConfig(), rows, label, fold)
    first = sum(hours[: len(train)])
    everybody, few = calibrate(logit, label), calibrate(logit[first:], label[first:])
    slope = everybody.slope / few.slope
    return Calibration(slope, everybody.intercept - slope * few.intercept)
