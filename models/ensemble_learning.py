"""What an ensemble learns: its weights, calibration, threshold and limit, from validation subjects alone.

All of them teach the weights that are kept. Calibration and threshold are found on all of them too, each half
scored by weights that the other half taught: no hour is calibrated by weights that it taught, and none is
left out (cross-fitting, as in Wolpert 1992, doi:10.1016/S0893-6080(05)80023-1).

    N  hours     J  members     S  stays
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import compress

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
    logit, label = _present(validation, crossed(validation, x), x)
    calibration = calibrate(logit, label, members[0].prior)
    largest = np.array([disagreement(members, one).max(initial=0.0) for one in x])
    training = {
        "hours": len(label),
        "validation": {
            "auroc": float(roc_auc_score(label, logit)),
            "auprc": float(average_precision_score(label, logit)),
        },
    }
    limit = conformal_quantile(largest, coverage)
    threshold = best_f1(calibration(logit), label)
    stacking = stack(*_present(validation, x, x))
    return Learnt(stacking, calibration, Conformal(limit, coverage), threshold, training)


def crossed(validation: Sequence[LabelledStay], x: Sequence[Floats]) -> list[Floats]:
    """The logits (N,) of each stay by weights of the other half of the subjects, from `x` (N, J) of each."""
    first = [first_half(one.stay.subject_id) for one in validation]
    taught = {
        own: stack(*_present(*_chosen(validation, x, [half is own for half in first])))
        for own in (True, False)
    }
    return [taught[not own].logit(one) for one, own in zip(x, first, strict=True)]


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
    """Which half a validation subject belongs to."""
    return sha256(f"ensemble:{subject_id}".encode()).digest()[0] % 2 == 0


def _chosen(
    stays: Sequence[LabelledStay], x: Sequence[Floats], chosen: Sequence[bool]
) -> tuple[list[LabelledStay], list[Floats], list[Floats]]:
    own = list(compress(x, chosen))
    return list(compress(stays, chosen)), own, own


def _present(
    stays: Sequence[LabelledStay], rows: Sequence[Floats], x: Sequence[Floats]
) -> tuple[Floats, npt.NDArray[np.int8]]:
    """Of `rows` (N, ...) of each stay the hours in which the first member says something, and labels (N,)."""
    present = ~np.isnan(np.concatenate([one[:, 0] for one in x]))
    return np.concatenate(rows)[present], np.concatenate([one.label for one in stays])[present]
