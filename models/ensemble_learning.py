"""What an ensemble learns: its weights, calibration, threshold and limit, from validation subjects alone.

One half of them teaches the weights; the other the calibration, the threshold and the limit of disagreement,
on hours that taught no weight.

    N  hours     J  members     S  stays
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score  # type: ignore[import-untyped]

from models.base import EarlyWarningModel
from models.calibration import best_f1, calibrate
from models.clinical.errors import InvalidInput
from models.clinical.stay import GRID_STEP, LabelledStay
from models.ensemble import Conformal, Learnt, disagreement, said
from models.stacking import stack

Floats = npt.NDArray[np.float64]


def weigh(
    members: Sequence[EarlyWarningModel], validation: Sequence[LabelledStay], coverage: float
) -> Learnt:
    """Everything an ensemble of `members` learns, with the threshold of best F1; `pipelines.train_ensemble`
    takes that of utility.

    Raises InvalidInput where a half of the validation subjects has hours of one label only.
    """
    x = [heard(members, one) for one in validation]
    return weighed(members, validation, x, coverage)


def heard(members: Sequence[EarlyWarningModel], one: LabelledStay) -> Floats:
    """What each member says in the labelled hours of a stay, NaN where nothing: (N, J)."""
    end = one.stay.admitted_at + int(one.hour[-1]) * GRID_STEP
    scores = [member.score(one.stay, end).value[one.hour - 1] for member in members]
    return said(members, scores)


def weighed(
    members: Sequence[EarlyWarningModel],
    validation: Sequence[LabelledStay],
    x: Sequence[Floats],
    coverage: float,
) -> Learnt:
    """The same of what the members said, `x` (N, J) of each stay."""
    first = [first_half(one.stay.subject_id) for one in validation]
    teaching, asked = _hours(validation, x, first), _hours(validation, x, [not own for own in first])
    stacking = stack(*teaching)
    logit = stacking.logit(asked[0])
    calibration = calibrate(logit, asked[1])
    gaps = [disagreement(members, one) for one, own in zip(x, first, strict=True) if not own]
    limit = conformal_quantile(np.array([gap.max(initial=0.0) for gap in gaps]), coverage)
    training = {
        "hours": {"weights": len(teaching[1]), "calibration": len(asked[1])},
        "validation": {
            "auroc": float(roc_auc_score(asked[1], logit)),
            "auprc": float(average_precision_score(asked[1], logit)),
        },
    }
    threshold = best_f1(calibration(logit), asked[1])
    return Learnt(stacking, calibration, Conformal(limit, coverage), threshold, training)


def conformal_quantile(largest: Floats, coverage: float) -> float:
    """The ceil((S + 1) coverage)-th smallest of `largest` (S,): a new exchangeable stay lies at or below it
    with at least the probability `coverage`. Raises InvalidInput where there are too few stays for that.
    """
    rank = int(np.ceil((len(largest) + 1) * coverage))
    if not 0.0 < coverage < 1.0 or rank > len(largest):
        raise InvalidInput(
            f"a coverage of {coverage} from {len(largest)} stays",
            value=coverage,
            bound=f"in (0, {len(largest) / (len(largest) + 1):.4f}]",
        )
    return float(np.sort(largest)[rank - 1])


def first_half(subject_id: str) -> bool:
    """Whether a validation subject teaches the weights."""
    return sha256(f"ensemble:{subject_id}".encode()).digest()[0] % 2 == 0


def _hours(
    stays: Sequence[LabelledStay], x: Sequence[Floats], chosen: Sequence[bool]
) -> tuple[Floats, npt.NDArray[np.int8]]:
    """Hours (N, J) in which the first member says something, and labels (N,), of the stays `chosen`."""
    rows = np.concatenate([one for one, own in zip(x, chosen, strict=True) if own])
    label = np.concatenate([one.label for one, own in zip(stays, chosen, strict=True) if own])
    present = ~np.isnan(rows[:, 0])
    return rows[present], label[present]
