"""What is expected of an hour before the first score, when a stay has told too little for one.

    prior = (positive hours + share) / (hours + 1)     of the hours before a first score

No score is never a low score: how often such hours turned out positive is what is known of them. `share` is
that of all hours, as if it had been seen once, so that a prior from few hours claims no certainty.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.clinical.stay import GRID_STEP, LabelledStay
from models.mgp.encoding import encode
from models.mgp.standardise import Standardisation
from models.sufficiency import SufficiencyRule


def prior_of(
    stays: Sequence[LabelledStay], standardisation: Standardisation, sufficiency: SufficiencyRule
) -> float:
    """The prior of labelled stays, of which `sufficiency` says when the first score comes."""
    before = np.concatenate([_label_before(one, standardisation, sufficiency) for one in stays])
    share = np.concatenate([one.label for one in stays]).mean()
    return float((before.sum() + share) / (len(before) + 1))


def _label_before(
    one: LabelledStay, standardisation: Standardisation, sufficiency: SufficiencyRule
) -> npt.NDArray[np.int8]:
    """The labels of the hours before the first score."""
    hours = int(one.hour[-1])
    known = one.stay.standing(one.stay.admitted_at + hours * GRID_STEP)
    enough = sufficiency.met(encode(known, standardisation, hours).since_hours)
    return one.label[~np.logical_or.accumulate(enough)[one.hour - 1]]
