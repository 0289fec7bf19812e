"""How the DTW ensemble learns: whom it remembers, and what each group's vote is worth.

    training stays -> references: excerpts before onsets, and of controls at the same hours of stay
    half of the validation subjects -> worth of each group (logistic regression, no weight below 0)
    the other half -> calibration (Platt), threshold, and the figures a search compares

Every hour of the second kind that is not drawn is stood for by one that is, by its weight.

    N  references     n  hours drawn     G  groups
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
from models.clinical.stay import GRID_STEP, LabelledStay
from models.dtw.ensemble import Ensemble, group_weights
from models.dtw.excerpts import CarriedCourse
from models.dtw.index import Index, coded
from models.dtw.prototypes import condensed
from models.dtw.series import Series, references
from models.dtw_knn import DTWConfig, Learnt, course_of
from models.mgp.standardise import VARIABLES, Standardisation
from models.stacking import nonnegative_logistic
from models.training_stays import standardisation_of

Floats = npt.NDArray[np.float64]

LABEL_LEAD_HOURS = 6  # a label of CinC 2019 rises so long before the onset


@dataclass(frozen=True)
class Recipe:
    """Who becomes a reference, and how many hours are looked at to learn what a vote is worth."""

    onset_hours: tuple[int, ...] = (0, 2, 4, 6)  # an excerpt of a case for each, so long before its onset
    cases: int = 2000  # excerpts at most
    controls: int = 4000  # excerpts, of as many stays as there are
    prototype_stays: int = 0  # references become barycentres of at least so many stays; 0 keeps them
    tuning_hours: int = 6000  # of validation, beside every positive one
    penalty: float = 1e-3  # on the squared worth, against groups that say the same
    seed: int = 2019

    def __post_init__(self) -> None:
        if min(self.cases, self.controls, self.tuning_hours) < 1:
            raise InvalidInput("cases, controls and tuning_hours: at least 1 each", bound=">= 1")


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
    index = recruited(config, train, standardisation, recipe)
    return weighed(config, index, standardisation, validation, recipe)


def recruited(
    config: DTWConfig, train: Sequence[LabelledStay], standardisation: Standardisation, recipe: Recipe
) -> Index:
    """The references. Raises InvalidInput without a case or a control."""
    recruiter = _Recruiter(config, standardisation, recipe, np.random.default_rng(recipe.seed))
    cases = recruiter.cases([one for one in train if one.label.any()])
    ends = np.array([one.last for one in cases], np.int64)
    controls = recruiter.controls([one for one in train if not one.label.any()], ends)
    if not cases or not controls:
        counts = f"{len(cases)} cases and {len(controls)} controls"
        raise InvalidInput(f"{counts}: at least one each", bound=">= 1")
    if recipe.prototype_stays:
        told = [(one.series, one.onset_hours) for one in cases]
        theirs, radius = [one.series for one in controls], config.voting.radius_hours
        return condensed(told, theirs, recipe.prototype_stays, radius, seed=recipe.seed)
    return _kept_as_they_are(cases, controls)


def weighed(
    config: DTWConfig,
    index: Index,
    standardisation: Standardisation,
    validation: Sequence[LabelledStay],
    recipe: Recipe,
) -> Learnt:
    """Worth, calibration and threshold for an index, from validation subjects."""
    ensemble = Ensemble(index, group_weights(config.groups(), VARIABLES), config.voting)
    drawn = draw(config, ensemble, standardisation, validation, recipe)
    worth = worth_of(drawn, recipe.penalty)
    total = drawn.evidence @ worth
    rest = ~drawn.first_half
    calibration = calibrate(total[rest], drawn.label[rest], drawn.weight[rest])
    training = {
        "recipe": asdict(recipe),
        "references": {"cases": int(index.outcome.sum()), "controls": int((1 - index.outcome).sum())},
        "stays": int(index.stays.sum()),
        "validation": _figures(drawn, total),
    }
    threshold = best_f1(calibration(total[rest]), drawn.label[rest], drawn.weight[rest])
    return Learnt(index, standardisation, worth, calibration, threshold, training)


def draw(
    config: DTWConfig,
    ensemble: Ensemble,
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
        rows, labels = _scored(config, ensemble, standardisation, one, wanted)
        evidence += rows
        told += [(label, first_half(one.stay.subject_id)) for label in labels]
    if not told:
        raise InvalidInput("no hour of validation has enough observations for a score", bound=">= 1")
    label, half = np.array(told).T
    return Drawn(np.array(evidence), label.astype(np.int8), np.where(label == 1, 1.0, 1.0 / share), half == 1)


def _scored(
    config: DTWConfig,
    ensemble: Ensemble,
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
    evidence = [ensemble.evidence(ensemble.distances(query)) for query in excerpts]
    return [np.nan_to_num(row, nan=0.0) for row in evidence], [label for _, label in kept]


def labelled_course(one: LabelledStay, standardisation: Standardisation) -> CarriedCourse:
    """A labelled stay as it stood in its last labelled hour."""
    hours = int(one.hour[-1])
    known = one.stay.standing(one.stay.admitted_at + hours * GRID_STEP)
    return course_of(known, standardisation, hours)


def worth_of(drawn: Drawn, penalty: float) -> Floats:
    """The weights (G,), none below 0, of the logistic regression of the label on the first half's evidence.

    Raises InvalidInput where that has one label only.
    """
    half = drawn.first_half
    evidence, label, weight = drawn.evidence[half], drawn.label[half], drawn.weight[half]
    check_both_labels(label)
    worth, _ = nonnegative_logistic(evidence, label, weight, penalty)
    return worth if worth.any() else np.full(len(worth), 1.0 / len(worth))


@dataclass(frozen=True, eq=False)
class _Excerpt:
    """A reference to be: it ends with hour of stay `last`; NaN `onset_hours` for a control."""

    series: Series
    last: int
    onset_hours: float


@dataclass(frozen=True, eq=False)
class _Recruiter:
    """Draws excerpts of training stays."""

    config: DTWConfig
    standardisation: Standardisation
    recipe: Recipe
    random: np.random.Generator

    def cases(self, septic: Sequence[LabelledStay]) -> list[_Excerpt]:
        """Excerpts that end some hours before the onset, where the stay has such an hour."""
        found = [excerpt for one in septic for excerpt in self._before_onset(one)]
        chosen = np.sort(self.random.permutation(len(found))[: self.recipe.cases])
        return [found[place] for place in chosen]

    def _before_onset(self, one: LabelledStay) -> list[_Excerpt]:
        onset = int(one.hour[np.argmax(one.label)]) + LABEL_LEAD_HOURS
        possible = [lead for lead in self.recipe.onset_hours if 1 <= onset - lead <= one.hour[-1]]
        course = labelled_course(one, self.standardisation)
        return self._known([self._excerpt(course, onset - lead, float(lead)) for lead in possible])

    def controls(self, never: Sequence[LabelledStay], ends: npt.NDArray[np.int64]) -> list[_Excerpt]:
        """Excerpts of stays without onset, each ending at an hour drawn from those of the cases, `ends`."""
        places = np.resize(self.random.permutation(len(never)), self._most(len(never)))
        counted = (part.tolist() for part in np.unique(places, return_counts=True))
        found = []
        for place, times in zip(*counted, strict=True):
            possible = ends[ends <= never[place].hour[-1]]
            if len(possible):
                course = labelled_course(never[place], self.standardisation)
                hours = self.random.choice(possible, times).tolist()
                found += [self._excerpt(course, hour, float("nan")) for hour in hours]
        return self._known(found)

    def _most(self, stays: int) -> int:
        """How many excerpts of controls: at most one of a stay that goes into a prototype."""
        if not stays or self.recipe.prototype_stays:
            return min(stays, self.recipe.controls)
        return self.recipe.controls

    def _excerpt(self, course: CarriedCourse, hour: int, onset_hours: float) -> _Excerpt:
        series = course.excerpt(hour, self.config.hours, self.config.fading_hours)
        return _Excerpt(series, hour, onset_hours)

    def _known(self, many: Sequence[_Excerpt]) -> list[_Excerpt]:
        return [one for one in many if one.series.mean_weight.any()]


def _kept_as_they_are(cases: Sequence[_Excerpt], controls: Sequence[_Excerpt]) -> Index:
    both = [*cases, *controls]
    return Index(
        references([coded(one.series) for one in both]),
        np.array([1] * len(cases) + [0] * len(controls), np.int8),
        np.array([one.onset_hours for one in both], np.float32),
        np.ones(len(both), np.int32),
    )


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
