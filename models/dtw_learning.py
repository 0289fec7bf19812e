"""How the DTW ensemble learns: whom it remembers, and what each group's vote is worth.

    training stays -> references: excerpts before onsets, and of stays without any
                   -> how much each row counts in a distance (models/dtw_metric.py)
    half of the validation subjects -> worth of each group (logistic regression, no weight below 0)
    the other half -> calibration (Platt), threshold, and the figures a search compares

Every hour of the second kind that is not drawn is stood for by one that is, by its weight.

    N  references     n  hours drawn     G  groups     R  rows that are compared
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (  # type: ignore[import-untyped]
    average_precision_score,
    roc_auc_score,
)

from models.calibration import best_f1, calibrate, check_both_labels
from models.clinical.errors import InvalidInput
from models.clinical.score import ScoreStatus
from models.clinical.stay import LabelledStay
from models.dtw_knn import DTWConfig, Learnt
from models.dtw_recruiting import Memory, Recipe, labelled_course, remembered
from models.dtw_votes import Votes
from models.mgp.standardise import Standardisation
from models.prior import prior_of
from models.stacking import nonnegative_logistic
from models.training_stays import standardisation_of

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Drawn:
    """Hours of validation: `evidence` (n, G), `label` (n,), `weight` (n,), and which half it is of."""

    evidence: Floats
    label: npt.NDArray[np.int8]
    weight: Floats
    first_half: npt.NDArray[np.bool_]


def learn(
    config: DTWConfig,
    train: Sequence[LabelledStay],
    validation: Sequence[LabelledStay],
    recipe: Recipe,
) -> Learnt:
    """Everything in memory, with the threshold of best F1; `pipelines.train_dtw` takes that of utility."""
    standardisation = standardisation_of(train)
    memory = remembered(config, train, standardisation, recipe)
    return weighed(config, memory, standardisation, validation, recipe)


def weighed(
    config: DTWConfig,
    memory: Memory,
    standardisation: Standardisation,
    validation: Sequence[LabelledStay],
    recipe: Recipe,
) -> Learnt:
    """Worth, calibration and threshold for what is remembered, from validation subjects."""
    index, metric = memory.index, memory.metric
    votes = Votes(config.groups(), index, metric, config.voting)
    drawn = draw(config, votes, standardisation, validation, recipe)
    worth = worth_of(drawn, recipe.penalty)
    total = drawn.evidence @ worth
    rest = ~drawn.first_half
    prior = prior_of(validation, standardisation, config.sufficiency)
    calibration = calibrate(total[rest], drawn.label[rest], prior, drawn.weight[rest])
    training = {
        "recipe": asdict(recipe),
        "references": {"cases": int(index.outcome.sum()), "controls": int((1 - index.outcome).sum())},
        "stays": int(index.stays.sum()),
        "validation": _figures(drawn, total),
    }
    threshold = best_f1(calibration(total[rest]), drawn.label[rest], drawn.weight[rest])
    return Learnt(index, standardisation, metric, worth, calibration, threshold, training)


def draw(
    config: DTWConfig,
    votes: Votes,
    standardisation: Standardisation,
    stays: Sequence[LabelledStay],
    recipe: Recipe,
) -> Drawn:
    """Every positive hour with a score, and as many others as the recipe says, weighed up to all of them."""
    random = np.random.default_rng([recipe.seed, 1])
    negative = sum(int((one.label == 0).sum()) for one in stays)
    share = min(1.0, recipe.tuning_hours / max(negative, 1))
    evidence: list[Floats] = []
    told: list[tuple[int, bool]] = []
    for one in stays:
        wanted = (one.label == 1) | (random.random(len(one.label)) < share)
        rows, labels = _scored(config, votes, standardisation, one, wanted)
        evidence += rows
        told += [(label, first_half(one.stay.subject_id)) for label in labels]
    if not told:
        raise InvalidInput("no hour of validation has enough observations for a score", bound=">= 1")
    label, half = np.array(told).T
    return Drawn(np.array(evidence), label.astype(np.int8), np.where(label == 1, 1.0, 1.0 / share), half == 1)


def _scored(
    config: DTWConfig,
    votes: Votes,
    standardisation: Standardisation,
    one: LabelledStay,
    wanted: npt.NDArray[np.bool_],
) -> tuple[list[Floats], list[int]]:
    """Evidence (G,), 0 where a group abstains, and label of the hours `wanted` that have a score."""
    if not wanted.any():
        return [], []
    course = labelled_course(one, standardisation)
    status, _ = config.sufficiency.judge_all(course.age_hours)
    kept = [
        (hour, label)
        for hour, label in zip(one.hour[wanted].tolist(), one.label[wanted].tolist(), strict=True)
        if status[hour - 1] is ScoreStatus.PRESENT
    ]
    excerpts = [course.excerpt(hour, config.hours, config.fading_hours) for hour, _ in kept]
    evidence = [votes.evidence(query, votes.distances(query)) for query in excerpts]
    return [np.nan_to_num(row, nan=0.0) for row in evidence], [label for _, label in kept]


def worth_of(drawn: Drawn, penalty: float) -> Floats:
    """The weights (G,), none below 0, of the logistic regression of the label on the first half's evidence.

    Raises InvalidInput where that has one label only.
    """
    half = drawn.first_half
    evidence, label, weight = drawn.evidence[half], drawn.label[half], drawn.weight[half]
    check_both_labels(label)
    worth, _ = nonnegative_logistic(evidence, label, weight, penalty)
    return worth if worth.any() else np.full(len(worth), 1.0 / len(worth))


def first_half(subject_id: str) -> bool:
    return sha256(f"dtw:{subject_id}".encode()).digest()[0] % 2 == 0


def _figures(drawn: Drawn, total: Floats) -> dict[str, Any]:
    rest = ~drawn.first_half
    label, weight = drawn.label[rest], drawn.weight[rest]
    return {
        "hours": int(rest.sum()),
        "auroc": float(roc_auc_score(label, total[rest], sample_weight=weight)),
        "auprc": float(average_precision_score(label, total[rest], sample_weight=weight)),
    }
